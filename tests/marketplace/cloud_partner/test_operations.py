"""The list of operations is read and sorted."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.cloud_partner.operations import identifier, operations
from marketplace.model import OperationKind, OperationState


def item(operation_id: object, changed: object = None, state: str = "completed", **more: object) -> dict[str, object]:
    return {
        "id": operation_id,
        "submissionType": "publish",
        "submissionState": state,
        "changedTime": changed,
        "version": 638350915370000000,
        **more,
    }


def ids(body: object) -> list[str]:
    return [operation.id for operation in operations(body)]


def test_the_newest_operation_comes_first() -> None:
    listed = [
        item("a", "2023-01-01T00:00:00Z"),
        item("b", "2023-01-01T00:00:00.2Z"),
        item("c", "2022-01-01T00:00:00Z"),
    ]
    assert ids(listed) == ["b", "a", "c"]


def test_a_running_operation_comes_first() -> None:
    assert ids([item("a", "2023-02-01T00:00:00Z"), item("b", "2023-01-01T00:00:00Z", "Running")]) == ["b", "a"]


def test_without_times_the_order_of_the_list_is_kept() -> None:
    assert ids([item("a"), item("b"), item("c", "garbage")]) == ["a", "b", "c"]


def test_with_equal_times_the_order_of_the_list_is_kept() -> None:
    assert ids([item(name, "2023-01-01T00:00:00Z") for name in "abc"]) == ["a", "b", "c"]


def test_an_operation_without_a_time_stays_behind_its_predecessor() -> None:
    listed = [item("old", "2022-01-01T00:00:00Z"), item("timeless"), item("new", "2023-01-01T00:00:00Z")]
    assert ids(listed) == ["new", "old", "timeless"]


def test_repeated_operations_and_those_without_an_id_are_skipped() -> None:
    listed = [item("a"), item("a"), item(None), item("../b"), item(""), {}, None, "c", item(5), item("d")]
    assert ids(listed) == ["a", "d"]


@pytest.mark.parametrize("state", ["running", "completed"])
def test_a_cancellation_is_skipped(state: str) -> None:
    assert ids([item("b", submissionType="cancel", slot="staging", state=state), item("a", slot="staging")]) == ["a"]


@pytest.mark.parametrize("kind", ["publish", "PUBLISH", "Publish/GoLive", "go-live", "GoLive", "", None, 5])
def test_a_publish_or_go_live_is_kept_in_every_spelling(kind: object) -> None:
    assert ids([item("a", submissionType=kind)]) == ["a"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([item("a")], ["a"]),
        ({"value": [item("a")]}, ["a"]),
        ({"Value": []}, []),
        (item("a"), ["a"]),
        (None, []),
        ([], []),
        ({}, []),
        ("a", []),
    ],
)
def test_a_list_is_read_in_every_wrapping(body: object, expected: list[str]) -> None:
    assert ids(body) == expected


@pytest.mark.parametrize(
    ("members", "kind", "state"),
    [
        ({"submissionState": "running"}, OperationKind.PUBLISH, OperationState.RUNNING),
        ({"submissionState": "notStarted"}, OperationKind.PUBLISH, OperationState.RUNNING),
        ({"submissionState": "odd"}, OperationKind.PUBLISH, OperationState.RUNNING),
        ({"submissionState": "Succeeded"}, OperationKind.PUBLISH, OperationState.PREVIEW),
        ({"submissionState": "waitingForPublisherReview"}, OperationKind.PUBLISH, OperationState.PREVIEW),
        ({"submissionState": "FAILED"}, OperationKind.PUBLISH, OperationState.FAILED),
        ({"submissionState": "cancelled"}, OperationKind.PUBLISH, OperationState.CANCELED),
        ({"submissionType": "GoLive"}, OperationKind.GO_LIVE, OperationState.LIVE),
        ({"submissionType": None, "slot": "production"}, OperationKind.GO_LIVE, OperationState.LIVE),
        ({"submissionType": None, "slot": "staging"}, OperationKind.PUBLISH, OperationState.PREVIEW),
        ({"submissionType": None}, OperationKind.PUBLISH, OperationState.PREVIEW),
    ],
)
def test_the_kind_and_state_of_an_operation_are_read(
    members: dict[str, object], kind: OperationKind, state: OperationState
) -> None:
    [found] = operations([{**item("a"), **members}])
    assert (found.kind, found.state) == (kind, state)


SECOND = datetime(2023, 11, 9, 8, 41, 27, tzinfo=UTC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "value", "changedTime", "submissionState", "submissionType", "slot"]), inner
        )
    ),
    max_leaves=30,
)


@given(JSON)
def test_any_json_is_read_as_a_list(body: object) -> None:
    assert len({operation.id for operation in operations(body)}) == len(operations(body))


@pytest.mark.parametrize("value", [None, 7, "", "a/b", "..", "a b", "a$b", "x" * 201, "é", "a\n"])
def test_text_that_cannot_be_part_of_a_url_is_not_an_id(value: object) -> None:
    assert identifier(value) is None
