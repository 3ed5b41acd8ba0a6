"""The order of image versions.

The marketplace requires three whole numbers, which are compared one by one: 1.10.0 is newer than 1.9.9. Real
documents also have dates (``2018.09.09``), leading zeros (``0.20200511.260``), very long numbers, more or fewer
numbers, and words.
"""

import re

SortKey = tuple[int, tuple[tuple[int, str], ...], str]

_NUMERIC = re.compile(r"[0-9]+(\.[0-9]+)*")


def sort_key(version: str) -> SortKey:
    """Return the sort key of a version. The greater key is the newer version.

    Missing numbers count as zero: 1.2 equals 1.2.0. Leading zeros are ignored. Text that is not made of numbers is
    older than any number, and sorted alphabetically.
    """
    if not _NUMERIC.fullmatch(version):
        return (0, (), version)
    # Compare by length first, and then as text. `int` refuses thousands of digits.
    numbers = [number.lstrip("0") for number in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return (1, tuple((len(number), number) for number in numbers), "")
