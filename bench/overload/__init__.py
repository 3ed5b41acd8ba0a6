"""Far more runs at once than the marketplace allows requests a second."""
