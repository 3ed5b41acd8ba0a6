"""The fault campaign: nothing lost, nothing twice. `make chaos`, or ``python -m bench.chaos --help``."""
