"""The Product Ingestion API of the sandbox."""
