"""The same publications by several engines, side by side on one machine: ``make bench``."""
