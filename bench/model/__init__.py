"""The model check: what may be, against what is. `make model`, or ``python -m bench.model --help``."""
