"""The steps of the procedures: each a few requests to the marketplace with one effect, safe to repeat."""
