"""The list of submissions, in all shapes that real services return."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.model import OperationKind
from marketplace.product_ingestion import submissions
from marketplace.product_ingestion.jobs import JobProgress

OLD, NEW, NEWER = "999999999999999999", "1152921505690001234", "1152921505690009876"


def entry(
    target: str, number: str, status: str = "completed", result: str = "succeeded", **members: Any
) -> dict[str, Any]:
    return {
        "id": f"submission/p/{number}",
        "target": {"targetType": target},
        "status": status,
        "result": result,
        **members,
    }


def at(day: int) -> str:
    return f"2026-03-{day:02}T00:00:00Z"


def operations(*items: object) -> list[tuple[str, str]]:
    return [(each.id, each.state) for each in submissions.operations(submissions.read(items))]


def awaits(*items: object) -> bool:
    return submissions.awaits_sign_off(submissions.read(items))


DRAFT = {"id": "submission/p/0", "target": {"targetType": "draft"}}


def test_the_placeholder_of_the_draft_is_not_an_operation() -> None:
    assert operations(DRAFT, {"id": "submission/p/0", "target": {"targetType": "preview"}}) == []


@pytest.mark.parametrize(
    ("status", "result", "state"),
    [
        ("notStarted", "pending", "running"),
        ("running", "pending", "running"),
        ("completed", "succeeded", "preview"),
        ("completed", "failed", "failed"),
        ("completed", "cancelled", "canceled"),
        ("certifying", "pending", "running"),
    ],
)
def test_a_preview_waits_for_sign_off_once_it_has_succeeded(status: str, result: str, state: str) -> None:
    assert operations(DRAFT, entry("preview", NEW, status, result)) == [(NEW, state)]
    assert awaits(entry("preview", NEW, status, result)) is (state == "preview")


def test_a_live_submission_may_be_listed_alone() -> None:
    assert operations(entry("live", NEW)) == [(f"{NEW}:live", "live"), (NEW, "preview")]
    assert not awaits(entry("live", NEW))


def test_a_live_submission_may_be_listed_for_both_targets() -> None:
    assert operations(entry("preview", NEW), entry("live", NEW)) == [(f"{NEW}:live", "live"), (NEW, "preview")]
    assert not awaits(entry("preview", NEW), entry("live", NEW))


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize(("status", "state"), [("running", "running"), ("completed", "failed")])
def test_one_of_two_live_submissions_goes_live_or_has_failed(status: str, state: str, step: int) -> None:
    going = entry("live", NEW, status, "failed" if status == "completed" else "pending")
    listed = [going, entry("live", OLD)]
    assert operations(*listed[::step]) == [
        (f"{NEW}:live", state),
        (NEW, "preview"),
        (f"{OLD}:live", "live"),
        (OLD, "preview"),
    ]


def test_a_preview_that_is_going_live_does_not_wait_and_one_whose_go_live_failed_does() -> None:
    assert not awaits(entry("preview", NEW), entry("live", NEW, "running", "pending"))
    assert awaits(entry("preview", NEW), entry("live", NEW, "completed", "failed"), entry("live", OLD))


def test_a_newer_preview_waits_next_to_a_live_submission() -> None:
    listed = [entry("live", NEW), entry("preview", NEWER)]
    assert operations(*listed) == [(NEWER, "preview"), (f"{NEW}:live", "live"), (NEW, "preview")]
    assert awaits(*listed)


def test_running_operations_come_first_then_times_and_then_numbers_decide() -> None:
    listed = [
        entry("live", NEWER, created=at(2)),
        entry("preview", OLD, "running", "pending", created=at(1)),
        entry("live", NEW, created=at(3)),
    ]
    assert [each for each, _ in operations(*listed)] == [OLD, f"{NEW}:live", NEW, f"{NEWER}:live", NEWER]
    untimed = [entry("live", OLD), entry("preview", NEW)]
    assert [each for each, _ in operations(*untimed)] == [NEW, f"{OLD}:live", OLD]


def test_an_operation_is_found_by_its_id() -> None:
    listed = submissions.read([entry("live", NEW), entry("preview", NEWER)])
    assert [
        submissions.find(listed, each) is not None for each in (NEW, f"{NEW}:live", NEWER, f"{NEWER}:live", OLD)
    ] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_the_submission_of_a_job_is_the_first_one_after_its_start() -> None:
    started = datetime(2026, 3, 2, 0, 0, 0, 500_000, UTC)
    listed = submissions.read(
        [
            entry("preview", OLD, created=at(1)),
            entry("preview", NEWER, created=at(3)),
            entry("preview", NEW, created="2026-03-02T00:00:00Z"),
        ]
    )
    made = submissions.of_job(listed, OperationKind.PUBLISH, started)
    assert made is not None
    assert made.number == NEW
    assert submissions.of_job(listed, OperationKind.PUBLISH, started + timedelta(days=5)) is None


def test_a_live_submission_may_keep_the_time_of_its_publish() -> None:
    listed = submissions.read(
        [entry("live", OLD, created=at(1)), entry("live", NEW, "running", "pending", created=at(2))]
    )
    made = submissions.of_job(listed, OperationKind.GO_LIVE, datetime(2026, 3, 9, tzinfo=UTC))
    assert made is not None
    assert made.number == NEW


numbers = st.integers(1, 10**19).map(str)
entries = st.builds(
    entry,
    st.sampled_from(["preview", "live", "draft", "flight"]),
    numbers,
    st.sampled_from(["notStarted", "running", "completed", "odd"]),
    st.sampled_from(["pending", "succeeded", "failed", "odd"]),
)


@given(st.lists(entries, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(listed: list[dict[str, Any]], shuffled: Any) -> None:
    unique = list({(each["id"], each["target"]["targetType"]): each for each in listed}.values())
    before = operations(*unique)
    shuffled.shuffle(unique)
    assert operations(*unique) == before
    ids = [each for each, _ in before]
    assert len(set(ids)) == len(ids)
    states = [state for _, state in before]
    assert states == sorted(states, key=lambda each: each != "running")


anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "target", "targetType", "status", "result", "created"]), inner)
    ),
    max_leaves=8,
)


@given(st.lists(anything, max_size=4))
def test_a_list_of_any_shape_is_accepted(items: list[object]) -> None:
    found = submissions.read(items)
    assert all(one.progress in JobProgress for one in found)
