"""What carries a request to the marketplace: tokens, pace, bounded answers."""
