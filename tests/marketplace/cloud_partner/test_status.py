"""Status words, and the states of operations that follow from them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.cloud_partner.status import (
    awaits_sign_off,
    kind_by_steps,
    kind_of,
    may_wait_for_sign_off,
    meaning,
    no_publish_waits,
    report,
    settled,
    single_document,
)
from marketplace.model import OperationKind, OperationState, StepState

PUBLISH, GO_LIVE = OperationKind.PUBLISH, OperationKind.GO_LIVE
SIGN_OFF, LIVE = "publisher-signoff", "live"
WAITING = "waitingForPublisherReview"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
NAMES = ["status", "steps", "messages", "id", "stepName", "level", "messageHtml", "progressPercentage", "error"]
WORDS = ["running", "completed", "failed", "blocked", "canceled", WAITING, "complete", SIGN_OFF, "error", "odd"]
SHAPED = st.recursive(
    st.sampled_from(WORDS) | JSON,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)


def step(step_id: str, word: object = "complete", *messages: object, name: str = "") -> dict[str, Any]:
    return {"id": step_id, "stepName": name or step_id, "status": word, "messages": list(messages)}


def service_message(text: object, level: str = "error") -> dict[str, Any]:
    return {"messageHtml": text, "level": level, "timestamp": "2023-11-09T09:11:02.3300176Z"}


def operation(word: object, *steps: object, **more: object) -> dict[str, Any]:
    return {"status": word, "messages": [], "steps": list(steps), **more}


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("completed complete succeeded success Done", StepState.COMPLETE),
        ("failed failure rejected Error", StepState.REJECTED),
        ("canceled cancelled", StepState.CANCELED),
        ("blocked", StepState.BLOCKED),
        ("running inProgress in_progress IN-PROGRESS canceling", StepState.IN_PROGRESS),
        ("notStarted neverPublished", StepState.NOT_STARTED),
        ("waitingForPublisherReview WaitingForPublisherReview", StepState.WAITING_FOR_SIGN_OFF),
        ("waitingForApproval", StepState.WAITING_FOR_APPROVAL),
        ("published odd", StepState.UNKNOWN),
    ],
)
def test_a_status_word_has_one_meaning_everywhere(words: str, state: StepState) -> None:
    assert {meaning(word) for word in words.split()} == {state}


def test_spaces_do_not_matter() -> None:
    assert meaning(" not  started ") is StepState.NOT_STARTED
    assert meaning("Awaiting publisher sign out") is StepState.WAITING_FOR_SIGN_OFF


@pytest.mark.parametrize("word", [None, 5, True, ["running"], {"a": 1}, "", "x" * 1_000_000])
def test_values_that_are_not_words_are_unknown(word: object) -> None:
    assert meaning(word) is StepState.UNKNOWN


@given(
    st.sampled_from(["completed", "failed", "canceled", "waitingForPublisherReview", "notStarted", "inProgress"]),
    st.data(),
)
def test_letter_case_and_separators_do_not_matter(word: str, data: st.DataObject) -> None:
    written = "".join(
        data.draw(st.sampled_from([letter.lower(), letter.upper(), f"{letter}_", f"-{letter}", f" {letter}"]))
        for letter in word
    )
    assert meaning(written) is meaning(word)


@pytest.mark.parametrize(
    ("document", "offer_status", "state"),
    [
        pytest.param(operation("running"), None, OperationState.RUNNING, id="running without steps runs"),
        pytest.param(
            operation("Running", step("a"), step("b", "inProgress")), None, OperationState.RUNNING, id="runs"
        ),
        pytest.param(operation("odd"), None, OperationState.RUNNING, id="an unknown word runs"),
        pytest.param(operation(None), None, OperationState.RUNNING, id="no word runs"),
        pytest.param(operation("canceled", step("a", "failed")), None, OperationState.CANCELED, id="canceled first"),
        pytest.param(operation("failed", step("a")), None, OperationState.FAILED, id="failed by its word"),
        pytest.param(operation("blocked"), None, OperationState.FAILED, id="blocked by its word"),
        pytest.param(operation("running", step("a", "rejected")), None, OperationState.FAILED, id="rejected step"),
        pytest.param(operation("running", step("a", "Failed")), None, OperationState.FAILED, id="failed step"),
        pytest.param(
            operation("completed", step("a", "failed")),
            None,
            OperationState.FAILED,
            id="a failure outweighs sign-off",
        ),
        pytest.param(
            operation("running", step("a", "inProgress"), step("b", "blocked", service_message("No image."))),
            None,
            OperationState.FAILED,
            id="a blocked step with an error failed",
        ),
        pytest.param(
            operation("running", step("a"), step("b", "blocked")),
            None,
            OperationState.FAILED,
            id="a blocked step with nothing to wait for failed",
        ),
        pytest.param(
            operation(
                "running", step("a", "inProgress"), step("b", "blocked", service_message("Waiting.", "information"))
            ),
            None,
            OperationState.RUNNING,
            id="a blocked step that waits for another does not fail",
        ),
        pytest.param(
            operation("running", step("a", "inProgress"), step("b", "blocked", "Waiting to begin.")),
            None,
            OperationState.RUNNING,
            id="a bare message is no error",
        ),
        pytest.param(operation("completed"), None, OperationState.PREVIEW, id="completed"),
        pytest.param(operation("Succeeded"), None, OperationState.PREVIEW, id="succeeded"),
        pytest.param(operation(WAITING), None, OperationState.PREVIEW, id="waits by its own word"),
        pytest.param(
            operation("running", step("a"), step(SIGN_OFF, WAITING), step(LIVE, "notStarted")),
            None,
            OperationState.PREVIEW,
            id="the sign-off step waits",
        ),
        pytest.param(
            operation("running", step("Publisher_SignOff", "complete")),
            None,
            OperationState.PREVIEW,
            id="is signed off",
        ),
        pytest.param(
            operation("running", step("s5", "complete", name="Publisher Sign-off")),
            None,
            OperationState.PREVIEW,
            id="the sign-off step is recognised by its name",
        ),
        pytest.param(
            operation("running", step("s5", "complete", name="Publisher sign off")),
            None,
            OperationState.PREVIEW,
            id="with spaces",
        ),
        pytest.param(operation("running", step("odd", WAITING)), None, OperationState.PREVIEW, id="any step waits"),
        pytest.param(
            operation("running", step(SIGN_OFF, "inProgress")),
            None,
            OperationState.RUNNING,
            id="sign-off is prepared",
        ),
        pytest.param(
            operation("running", step("a")), {"status": WAITING}, OperationState.PREVIEW, id="the offer waits"
        ),
        pytest.param(
            operation("running", step("a")),
            {"status": "running", "steps": [step(SIGN_OFF, WAITING)]},
            OperationState.PREVIEW,
            id="the offer's sign-off step waits",
        ),
        pytest.param(
            operation("running", step("a", "notStarted")),
            {"status": "succeeded", "steps": [step("displaycertify", "notStarted")]},
            OperationState.RUNNING,
            id="nothing follows from a succeeded offer",
        ),
        pytest.param([operation("completed")], None, OperationState.PREVIEW, id="an array of one"),
        pytest.param({"Status": "Completed"}, None, OperationState.PREVIEW, id="members in upper case"),
    ],
)
def test_the_state_of_a_publish_follows_from_its_word_and_steps(
    document: object, offer_status: object, state: OperationState
) -> None:
    assert report("op", PUBLISH, document, offer_status).state is state


@pytest.mark.parametrize(
    ("document", "state"),
    [
        pytest.param(operation("completed"), OperationState.LIVE, id="completed"),
        pytest.param(operation("running", step(SIGN_OFF), step(LIVE)), OperationState.LIVE, id="every step complete"),
        pytest.param(operation("running", step("s6", name="Live")), OperationState.LIVE, id="live by its name"),
        pytest.param(operation("running", step(SIGN_OFF)), OperationState.RUNNING, id="complete, but no live step"),
        pytest.param(operation("running"), OperationState.RUNNING, id="no steps"),
        pytest.param(operation("running", step(LIVE, "inProgress")), OperationState.RUNNING, id="going live"),
        pytest.param(operation(WAITING), OperationState.RUNNING, id="a go-live that waits"),
        pytest.param(operation("failed"), OperationState.FAILED, id="failed"),
        pytest.param(operation("running", step(LIVE, "rejected")), OperationState.FAILED, id="rejected"),
        pytest.param(operation("Cancelled"), OperationState.CANCELED, id="canceled"),
    ],
)
def test_the_state_of_a_go_live_follows_from_its_word_and_steps(document: object, state: OperationState) -> None:
    assert report("op", GO_LIVE, document).state is state


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        pytest.param(
            operation(
                "running",
                step(
                    "c",
                    "blocked",
                    service_message("<p>No <b>image</b>.</p>"),
                    service_message("Wait.", "information"),
                ),
            ),
            ["c: No image."],
            id="error messages of a blocked step",
        ),
        pytest.param(
            operation("failed", step("c", "blocked")), ["c: blocked, without a message from the service"], id="silent"
        ),
        pytest.param(
            operation("failed", step("c", "Rejected", "Bad disk.", service_message("Odd.", "information"))),
            ["c: Bad disk.", "c: Odd."],
            id="strings without an error level",
        ),
        pytest.param(
            operation("failed", step("c", "failed", {"message": "No.", "level": "ERROR"})), ["c: No."], id="any case"
        ),
        pytest.param(
            operation("failed", step("c"), step("d", "rejected"), step("e", "blocked")),
            ["d: rejected, without a message from the service"],
            id="steps after the failed one are not blamed",
        ),
        pytest.param(
            operation("failed", messages=[service_message("Broken.")], error={"code": "E1", "message": "Bad."}),
            ["Broken.", "E1: Bad."],
            id="of the operation",
        ),
        pytest.param(operation("failed", error="Bad."), ["Bad."], id="a bare error"),
        pytest.param(operation("failed"), ["the operation failed, without a message from the service"], id="nothing"),
        pytest.param(
            operation("running", step("a", "inProgress", service_message("Once."))), [], id="nothing failed"
        ),
    ],
)
def test_errors_are_reported_with_their_step(document: object, errors: list[str]) -> None:
    assert report("op", PUBLISH, document).errors == errors


def test_an_error_after_a_hundred_remarks_is_found() -> None:
    remarks = [service_message(f"Step {number}.", "information") for number in range(100)]
    assert report("op", PUBLISH, operation("x", step("c", "blocked", *remarks, service_message("Bad.")))).errors == [
        "c: Bad."
    ]


def test_a_sas_in_a_message_is_redacted() -> None:
    url = "https://a.blob.core.windows.net/v/x.vhd?se=1&amp;sig=hunter2%2B"
    found = report(
        "op", PUBLISH, operation("failed", step("c", "failed", service_message(f"Failure: Copying Images {url}")))
    )
    assert "hunter2" not in found.model_dump_json()
    assert "x.vhd" in found.errors[0]


def test_a_report_is_bounded() -> None:
    messages = [service_message("<i>" + "x" * 300_000)] * 30
    steps = [step("i" * 5000, "rejected", *messages, name="n" * 5000)] * 80
    found = report("op", PUBLISH, operation("failed", *steps))
    assert len(found.steps) == 50
    assert [len(each.errors) for each in found.steps] == [20] + [0] * 49
    assert max(len(error) for error in found.steps[0].errors) == 400
    assert len(found.steps[0].name) == len(found.steps[0].id) == 100
    assert len(found.errors) <= 50


def test_a_step_after_the_fifty_reported_ones_counts() -> None:
    done = [step(f"s{number}") for number in range(60)]
    live = step("live")
    assert report("op", GO_LIVE, operation("running", live, *done, step("x", "failed"))).state == "failed"
    assert report("op", GO_LIVE, operation("running", live, *done, step("x", "inProgress"))).state == "running"
    assert report("op", GO_LIVE, operation("running", live, *done)).state == "live"


def test_a_report_lists_the_steps_in_order_and_the_one_in_progress() -> None:
    found = report("op", PUBLISH, operation("running", step("a"), step("b", "inProgress"), {"status": "odd"}, "no"))
    assert [(each.id, each.name, each.state) for each in found.steps] == [
        ("a", "a", StepState.COMPLETE),
        ("b", "b", StepState.IN_PROGRESS),
        ("", "step 3", StepState.UNKNOWN),
    ]
    assert found.step is not None
    assert found.step.id == "b"


@pytest.mark.parametrize(
    ("value", "percent"),
    [
        *[(0, 0), (40, 40), (40.9, 40), ("55", 55), ("55 %", 55), (-3, 0), (400, 100)],
        *[(True, None), (None, None), ("much", None), (float("nan"), None), (10**30, None), ([], None)],
    ],
)
@pytest.mark.parametrize("name", ["progressPercentage", "processPercentage"])
def test_progress_is_read_from_either_member(name: str, value: object, percent: int | None) -> None:
    found = report("op", PUBLISH, operation("running", {**step("a", "inProgress"), name: value}))
    assert found.steps[0].percent == percent


def test_unknown_words_are_reported_once() -> None:
    document = operation(
        "Dreaming\x1b", step("a", "odd"), step("b", "odd"), step("c", 7), step("d", None), step("e", "")
    )
    assert report("op", PUBLISH, document).unknown_words == ["Dreaming", "odd", "a int"]


@pytest.mark.parametrize(
    ("document", "awaits"),
    [
        ({"status": WAITING}, True),
        ({"status": "Awaiting publisher sign-off"}, True),
        ({"status": "running", "steps": [step(SIGN_OFF, WAITING)]}, True),
        ({"status": "running", "steps": [step("x", WAITING, name="Publisher sign off")]}, True),
        ([{"status": WAITING}], True),
        ({"status": "running", "steps": [step(SIGN_OFF, "complete")]}, False),
        ({"status": "succeeded", "steps": [step("displaycertify", "notStarted")]}, False),
        ({"status": "published"}, False),
        (None, False),
        ("waitingForPublisherReview", False),
    ],
)
def test_an_offer_awaits_sign_off_if_its_word_or_step_says_so(document: object, awaits: bool) -> None:  # noqa: FBT001
    assert awaits_sign_off(document) is awaits


@pytest.mark.parametrize(
    ("steps", "may"),
    [
        pytest.param([], True, id="a publish without steps may"),
        pytest.param([step("a"), step("b"), step(LIVE, "notStarted")], True, id="one whose steps are done may"),
        pytest.param(
            [step("a", "notStarted"), step("b", "notStarted")], False, id="one that has just started may not"
        ),
        pytest.param([step("a"), step("b", "inProgress")], False, id="one with a running step may not"),
        pytest.param([step("a"), step(SIGN_OFF, "inProgress")], True, id="the sign-off step does not count"),
        pytest.param([step(SIGN_OFF, WAITING)], False, id="one that waits by itself need not"),
    ],
)
def test_the_status_of_an_older_preview_is_not_mistaken_for_that_of_a_new_publish(
    steps: list[dict[str, Any]],
    may: bool,  # noqa: FBT001
) -> None:
    assert may_wait_for_sign_off(report("op", PUBLISH, operation("running", *steps))) is may


@pytest.mark.parametrize(
    ("offer_status", "none"),
    [
        ({"status": "canceled"}, True),
        ({"status": "Cancelled"}, True),
        ({"status": "notStarted"}, True),
        ({"status": "canceled", "steps": [step(SIGN_OFF, WAITING)]}, False),
        ({"status": WAITING}, False),
        ({"status": "succeeded"}, False),
        ({"status": "running"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_an_offer_status_says_if_no_publish_waits(offer_status: object, none: bool) -> None:  # noqa: FBT001
    assert no_publish_waits(offer_status) is none


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"submissionType": "publish"}, PUBLISH),
        ({"submissionType": "Publish", "slot": "production"}, PUBLISH),
        ({"submissionType": "goLive"}, GO_LIVE),
        ({"SubmissionType": "GOLIVE"}, GO_LIVE),
        ({"submissionType": "go-live"}, GO_LIVE),
        ({"slot": "staging"}, PUBLISH),
        ({"slot": "Preview"}, PUBLISH),
        ({"submissionType": "Publish/GoLive", "slot": "Production"}, GO_LIVE),
        ({"submissionType": "cancel", "slot": "staging"}, None),
        ({"submissionType": "Publish/GoLive"}, None),
        ({}, None),
        (None, None),
        ({"submissionType": 5, "slot": []}, None),
    ],
)
def test_the_kind_of_an_operation_is_its_type_or_its_slot(document: object, kind: OperationKind | None) -> None:
    assert kind_of(document) is kind


def test_a_live_step_that_has_started_means_a_go_live() -> None:
    assert kind_by_steps(operation("running", step(SIGN_OFF), step(LIVE, "inProgress"))) is GO_LIVE
    assert kind_by_steps(operation("running", step(SIGN_OFF), step(LIVE, "notStarted"))) is PUBLISH
    assert kind_by_steps(None) is PUBLISH


def test_the_requested_operation_is_found_in_an_array() -> None:
    document = single_document([{"id": "a", "status": "failed"}, {"id": "b", "status": "running"}], "b")
    assert document == {"id": "b", "status": "running"}
    assert single_document([], "b") is None
    assert single_document(None) is None


def test_a_go_live_that_waits_is_still_running() -> None:
    assert settled(GO_LIVE, WAITING) is OperationState.RUNNING
    assert settled(PUBLISH, WAITING) is OperationState.PREVIEW


@given(SHAPED, st.none() | SHAPED, st.sampled_from(OperationKind))
def test_any_json_is_read_as_a_report(document: object, offer_status: object, kind: OperationKind) -> None:
    found = report("op", kind, document, offer_status)
    found.model_dump_json().encode()
    assert all(text.isprintable() for text in [*found.errors, *found.unknown_words])
    may_wait_for_sign_off(found)
    kind_of(document)
    awaits_sign_off(document)
