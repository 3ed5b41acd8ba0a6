"""The Azure Marketplace: its nouns, rules and errors, and a package for each API. Knows nothing of Temporal."""
