"""When to look again: a pure function of the time already waited."""

from datetime import timedelta

from workflows.messages import Polling

SHARE_OF_THE_WAIT = 0.5
"""The next look comes after half of the time that the operation has been followed.

After a wait of one minute the end is noticed within half a minute, after days within ``max_interval``. A larger share
delays the news. A smaller one costs more looks on the way to ``max_interval`` and gains nothing afterwards: of the
788 looks that a publication of 16 days takes, all but some twenty are at the default ``max_interval``.
"""


def next_look_after(waited: timedelta, polling: Polling) -> timedelta:
    """Return how long to wait for the next look at an operation followed for ``waited``."""
    return min(max(waited * SHARE_OF_THE_WAIT, polling.min_interval), polling.max_interval)
