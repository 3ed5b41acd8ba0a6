"""The marketplace behind the Product Ingestion API."""
