"""The order of image versions.

The marketplace asks for three whole numbers, compared number by number, so that 1.10.0 is newer than
1.9.9. Documents in the wild also hold dates (``2018.09.09``), leading zeros (``0.20200511.260``), very long
numbers, more or fewer of them, and words.
"""

import re

SortKey = tuple[int, tuple[tuple[int, str], ...], str]

_NUMERIC = re.compile(r"[0-9]+(\.[0-9]+)*")


def sort_key(version: str) -> SortKey:
    """Return what a version is sorted by; bigger is newer.

    Missing numbers count as zero (1.2 is 1.2.0) and leading zeros do not count. What is not made of numbers
    sorts below everything that is, alphabetically. Never raises.
    """
    if not _NUMERIC.fullmatch(version):
        return (0, (), version)
    # Digits compare as numbers when the longer is the bigger; `int` would refuse thousands of digits.
    numbers = [number.lstrip("0") for number in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return (1, tuple((len(number), number) for number in numbers), "")
