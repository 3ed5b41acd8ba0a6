"""Versions are sorted by their numbers, whatever their spelling."""

from hypothesis import given
from hypothesis import strategies as st

from marketplace.versions import sort_key

odd = st.one_of(
    st.text(max_size=6),
    st.lists(st.integers(0, 10**25).map(str), min_size=1, max_size=5).map(".".join),
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,4}){0,4}", fullmatch=True),
)


def test_versions_are_compared_number_by_number() -> None:
    shuffled = ["1.9.9", "1.10.0", "10.0.0", "2.0.0", "1.9.10"]
    assert sorted(shuffled, key=sort_key) == ["1.9.9", "1.9.10", "1.10.0", "2.0.0", "10.0.0"]


def test_versions_in_old_documents_are_sorted_too() -> None:
    found = ["junk", "", "0.20200511.260", "2018.09.09", "2018.10.1", "1.2.0-rc1", "12345678901234567890.0.0"]
    assert sorted(found, key=sort_key) == [
        "",
        "1.2.0-rc1",
        "junk",
        "0.20200511.260",
        "2018.09.09",
        "2018.10.1",
        "12345678901234567890.0.0",
    ]


def test_leading_zeros_and_missing_numbers_make_no_difference() -> None:
    assert sort_key("1.02") == sort_key("1.2.0") == sort_key("01.2.0.0")
    assert sort_key("0.0.0") == sort_key("0")


def test_a_version_without_numbers_equals_only_itself() -> None:
    assert len({sort_key(version) for version in ("1.2.0-rc1", "1.02.0-rc1", "v1.2.0", "1.2.0", "")}) == 5


def test_a_number_of_ten_thousand_digits_is_compared_like_any_other() -> None:
    assert sort_key("9" * 10_000 + ".0.0") < sort_key("1" + "0" * 10_000 + ".0.0")


@given(st.tuples(*[st.integers(0, 10**20)] * 3), st.tuples(*[st.integers(0, 10**20)] * 3))
def test_versions_are_sorted_by_their_numbers(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    left, right = (sort_key(".".join(map(str, numbers))) for numbers in (one, other))
    assert (left < right) == (one < other)


@given(st.tuples(*[st.integers(0, 10**20)] * 3), st.lists(st.integers(0, 20), min_size=6, max_size=6))
def test_any_two_spellings_of_three_numbers_are_equal(numbers: tuple[int, ...], zeros: list[int]) -> None:
    one, other = (
        ".".join(f"{'0' * count}{number}" for count, number in zip(counts, numbers, strict=True))
        for counts in (zeros[:3], zeros[3:])
    )
    assert sort_key(one) == sort_key(other) == sort_key(".".join(map(str, numbers)))


@given(st.lists(odd, max_size=8))
def test_any_text_can_be_sorted(versions: list[str]) -> None:
    assert sorted(map(sort_key, versions)) == sorted(map(sort_key, reversed(versions)))
