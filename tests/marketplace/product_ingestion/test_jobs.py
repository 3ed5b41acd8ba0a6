"""Job documents, and the reports on their operations."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.model import OperationKind, OperationState, StepState
from marketplace.product_ingestion import jobs
from marketplace.product_ingestion.jobs import JobProgress
from tests.marketplace.product_ingestion.test_failures import CERTIFICATION, FOR_GOOD, IN_PROGRESS, INVALID


@pytest.mark.parametrize(
    ("status", "result", "expected"),
    [
        ("notStarted", "pending", JobProgress.NOT_STARTED),
        ("running", "pending", JobProgress.RUNNING),
        ("running", None, JobProgress.RUNNING),
        ("completed", "succeeded", JobProgress.SUCCEEDED),
        ("Completed", "Succeeded", JobProgress.SUCCEEDED),
        ("completed", "failed", JobProgress.FAILED),
        ("completed", "cancelled", JobProgress.CANCELED),
        ("completed", "canceled", JobProgress.CANCELED),
        ("completed", "pending", JobProgress.RUNNING),
        ("completed", "abandoned", JobProgress.FAILED),
        ("completed", None, JobProgress.FAILED),
        ("paused", "pending", JobProgress.RUNNING),
        (None, None, JobProgress.RUNNING),
        (["completed"], {"x": 1}, JobProgress.RUNNING),
    ],
)
def test_the_progress_of_a_job_is_read(status: object, result: object, expected: JobProgress) -> None:
    assert jobs.read({"jobStatus": status, "jobResult": result}).progress is expected


def test_unknown_words_are_reported() -> None:
    assert jobs.read({"jobStatus": "paused", "jobResult": "abandoned"}).unknown_words == ["paused", "abandoned"]
    assert jobs.read({"jobStatus": "completed", "jobResult": "succeeded"}).unknown_words == []


def test_a_failed_job_with_a_cancellation_error_was_cancelled() -> None:
    errors = [{"code": "conflict", "details": [{"code": "operationCanceled", "message": "by a person"}]}]
    found = jobs.read({"jobStatus": "completed", "jobResult": "failed", "errors": errors})
    assert found.progress is JobProgress.CANCELED


def report(kind: OperationKind, now: JobProgress, *errors: dict[str, Any]) -> tuple[str, str, str, list[str]]:
    found = jobs.report("1", kind, now, errors=jobs.read({"errors": list(errors)}).errors, otherwise="ask")
    [step] = found.steps
    return found.state, step.name, step.state, found.errors


@pytest.mark.parametrize(
    ("kind", "now", "errors", "expected"),
    [
        (OperationKind.PUBLISH, JobProgress.NOT_STARTED, [], ("running", "Publish to preview", "not_started", [])),
        (OperationKind.GO_LIVE, JobProgress.RUNNING, [], ("running", "Go live", "in_progress", [])),
        (OperationKind.PUBLISH, JobProgress.SUCCEEDED, [], ("preview", "Publish to preview", "complete", [])),
        (OperationKind.GO_LIVE, JobProgress.SUCCEEDED, [], ("live", "Go live", "complete", [])),
        (OperationKind.GO_LIVE, JobProgress.CANCELED, [], ("canceled", "Go live", "canceled", [])),
        (OperationKind.GO_LIVE, JobProgress.FAILED, [], ("failed", "Go live", "rejected", ["Go live: ask"])),
        (
            OperationKind.PUBLISH,
            JobProgress.FAILED,
            [INVALID],
            (
                "failed",
                "Publish to preview",
                "rejected",
                [
                    "Publish to preview: schemaValidationError: skuId is wrong (lts)",
                    "Publish to preview: businessValidationError: no image (plan/p/l)",
                ],
            ),
        ),
        (
            OperationKind.GO_LIVE,
            JobProgress.FAILED,
            [CERTIFICATION],
            (
                "failed",
                "Certification",
                "rejected",
                ["Certification: Issues were found in certification: port 22"],
            ),
        ),
        (
            OperationKind.PUBLISH,
            JobProgress.FAILED,
            [IN_PROGRESS],
            (
                "turned_away",
                "Publish to preview",
                "rejected",
                ["Publish to preview: invalidState: A submission is already in progress (submission/p/0)"],
            ),
        ),
    ],
)
def test_the_report_follows_from_progress_and_errors(
    kind: OperationKind, now: JobProgress, errors: list[dict[str, Any]], expected: tuple[str, str, str, list[str]]
) -> None:
    assert report(kind, now, *errors) == expected


@pytest.mark.parametrize("now", JobProgress)
@pytest.mark.parametrize("kind", OperationKind)
def test_an_operation_is_over_when_its_job_has_ended(kind: OperationKind, now: JobProgress) -> None:
    assert jobs.report("1", kind, now).is_over is (now not in {JobProgress.NOT_STARTED, JobProgress.RUNNING})


def test_a_permanent_refusal_was_not_turned_away() -> None:
    state, _, _, errors = report(OperationKind.GO_LIVE, JobProgress.FAILED, FOR_GOOD)
    assert state == "failed"
    assert "payout profile" in errors[0]


def test_the_failed_step_has_the_errors() -> None:
    found = jobs.report(
        "1", OperationKind.PUBLISH, JobProgress.FAILED, errors=jobs.read({"errors": [INVALID]}).errors
    )
    assert found.state is OperationState.FAILED
    assert found.step is not None
    assert found.step.state is StepState.REJECTED
    assert len(found.step.errors) == 2


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["completed", "failed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["jobStatus", "jobResult", "jobStart", "errors", "jobEnd"]), anything) | anything
)
def test_a_job_of_any_shape_is_accepted(document: object) -> None:
    assert jobs.read(document).progress in JobProgress
