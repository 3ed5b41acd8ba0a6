"""Timestamps are read in every documented form, and anything else is ignored."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.timestamps import timestamp

SECOND = datetime(2023, 11, 9, 8, 41, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2023-11-09T08:41:27Z", SECOND),
        ("2023-11-09T08:41:27.5Z", SECOND.replace(microsecond=500_000)),
        ("2023-11-09T08:41:27.004311Z", SECOND.replace(microsecond=4_311)),
        ("2023-11-09T08:41:27.5093316Z", SECOND.replace(microsecond=509_331)),
        ("2023-11-09T08:41:27.509331699Z", SECOND.replace(microsecond=509_331)),
        ("2023-11-09T08:41:27.", SECOND),
        ("2023-11-09T08:41:27", SECOND),
        ("2023-11-09 08:41:27z", SECOND),
        ("2023-11-09T10:41:27+02:00", SECOND),
        ("2023-11-09T03:11:27-0530", SECOND),
        (" 2023-11-09T08:41:27Z ", SECOND),
        ("2023-13-09T08:41:27Z", None),
        ("2023-11-09T08:41:60Z", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("2023-11-09T08:41:27+99:00", None),
        ("2023-11-09", None),
        ("soon", None),
        ("", None),
        ("0001-01-01T00:00:00", None),
        (None, None),
        (1699519287, None),
        ([], None),
    ],
)
def test_a_timestamp_is_read_in_utc(text: object, read: datetime | None) -> None:
    assert timestamp(text) == read


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(0, 9),
)
def test_any_number_of_fractional_digits_is_read(time: datetime, digits: int) -> None:
    fraction = f"{time.microsecond:06}000"[:digits]
    text = f"{time:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{fraction}Z"
    assert timestamp(text) == time.replace(microsecond=int(fraction[:6].ljust(6, "0")))
