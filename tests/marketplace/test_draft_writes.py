"""The code for writes to a draft that both APIs share."""

from marketplace.draft_writes import MAX_REPORTED, capped


def test_a_result_names_a_thousand_versions_and_a_warning_counts_them_all() -> None:
    warnings = ["a SAS expires soon"]

    assert capped(range(MAX_REPORTED), "removed", warnings) == list(range(MAX_REPORTED))
    assert warnings == ["a SAS expires soon"]
    assert capped(range(MAX_REPORTED + 1), "deprecated", warnings) == list(range(MAX_REPORTED))
    assert warnings == ["1,001 versions were deprecated; the result names the first 1,000.", "a SAS expires soon"]
