"""The worker's log: its lines name their run and hold no secret."""

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
from temporalio.exceptions import ApplicationError

from tests.desk import SAS
from worker.logs import set_up_logging

RUN = {"workflow_id": "go-live/fabrikam/webstack", "run_id": "0199-run", "workflow_type": "ValidateAndGoLive"}
ACTIVITY = {"activity_type": "publish", "workflow_id": "go-live/fabrikam/webstack", "workflow_run_id": "0199-run"}


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def line(capsys: pytest.CaptureFixture[str], form: Literal["text", "json"], message: str, **extra: object) -> str:
    """Log a message and return the line that is written."""
    set_up_logging("INFO", form)
    logging.getLogger("temporalio.workflow").info(message, extra=extra)
    return capsys.readouterr().err.rstrip("\n")


def test_a_text_line_ends_with_the_ids_of_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    written = line(capsys, "text", "fabrikam/webstack: going live", temporal_workflow=RUN)

    assert written.endswith(
        "INFO     temporalio.workflow: fabrikam/webstack: going live (go-live/fabrikam/webstack, 0199-run)"
    )


def test_a_line_from_an_activity_also_names_the_activity(capsys: pytest.CaptureFixture[str]) -> None:
    written = line(capsys, "text", "it failed", temporal_activity=ACTIVITY)

    assert written.endswith("it failed (publish, go-live/fabrikam/webstack, 0199-run)")


def test_a_line_from_outside_a_run_ends_with_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert line(capsys, "text", "Stopped").endswith("temporalio.workflow: Stopped")


def test_a_json_line_has_members_for_offer_and_ids(capsys: pytest.CaptureFixture[str]) -> None:
    written = json.loads(line(capsys, "json", "going live", temporal_workflow=RUN, offer="fabrikam/webstack"))

    assert (written["message"], written["offer"], written["temporal_workflow"]) == (
        "going live",
        "fabrikam/webstack",
        RUN,
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_holds_a_signature(capsys: pytest.CaptureFixture[str], form: Literal["text", "json"]) -> None:
    written = line(capsys, form, f"refused: https://images.example/1.vhd?{SAS}", temporal_workflow=RUN)

    assert "INVENTED" not in written
    assert "images.example/1.vhd" in written


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_that_was_raised_on_purpose_is_logged_without_its_stack_trace(
    capsys: pytest.CaptureFixture[str], form: Literal["text", "json"]
) -> None:
    set_up_logging("INFO", form)
    log = logging.getLogger("temporalio.activity")
    for error in (ApplicationError("no such offer", type="OfferNotFound"), KeyError("a defect")):
        try:
            raise error
        except (ApplicationError, KeyError):
            log.exception("Completing activity as failed")
    refused, defect = capsys.readouterr().err.split("Completing activity as failed")[1:]

    assert refused.startswith(": OfferNotFound: no such offer")
    assert "Traceback" not in refused
    assert "Traceback" in defect
