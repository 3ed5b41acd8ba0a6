"""HTTP requests to the marketplace: tokens, pace, and bounded answers."""
