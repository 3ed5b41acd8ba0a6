"""The Cloud Partner Portal API of the sandbox."""
