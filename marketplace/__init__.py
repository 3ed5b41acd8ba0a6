"""The marketplace's REST API: client, document edits, status words. Knows nothing of Temporal."""
