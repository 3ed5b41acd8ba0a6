"""The Product Ingestion API: how it presents the state machine of offers."""
