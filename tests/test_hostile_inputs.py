"""Whatever bytes come with a start, a signal or an update, they are read, or refused in one bounded sentence."""

import contextlib
import json
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from tests.apis.cloud_partner import offer_document
from tests.apis.product_ingestion import ProductIngestionApi
from tests.desk import Desk, Run, failure_of, progress_of, vhd
from tests.harness.waiting import until
from tests.mutations import ODD_CHARACTERS, SAS, SECRET, Raw, examples, mutated, written
from workflows.inputs import MAX_INPUT, MAX_SIGNAL, validated
from workflows.messages import (
    ApproveGoLive,
    CheckLastOperationStatusInput,
    CreateOfferAndPublishInput,
    DecideGoLive,
    Progress,
    RejectGoLive,
    UpdateOfferAndPublishInput,
    ValidateAndGoLiveInput,
)
from workflows.page import page

pytestmark = pytest.mark.only("cloud-partner", "the API makes no difference to how an input is read")

TENANT = "11111111-2222-3333-4444-555555555555"
GALLERY = (
    f"/subscriptions/{TENANT}/resourceGroups/images/providers/Microsoft.Compute/galleries/fabrikam"
    "/images/web/versions/4.2.2"
)
_POLLING = {"min_interval": "PT1M", "max_interval": 1800}
_OFFER = {"publisher_id": "fabrikam", "offer_id": "web", "polling": _POLLING, "deadline": "P21D"}
_IMAGES: dict[str, Any] = {
    **_OFFER,
    "images": [
        {"plan_id": "lts", "version": "4.2.1", "os_vhd_url": vhd("4.2.1"), "generation": "2"},
        {"plan_id": "lts", "version": "4.2.2", "os_vhd_url": SAS, "data_disks": [{"lun": 0, "vhd_url": SAS}]},
    ],
    "when_full": "remove_oldest",
    "max_versions_per_plan": 8,
    "if_publishing": "wait",
    "notification_emails": ["release@fabrikam.example"],
}
VALID: dict[type[BaseModel], dict[str, Any]] = {
    CreateOfferAndPublishInput: {
        "offer": offer_document("fabrikam", ["4.2.0"]),
        "if_exists": "replace",
        "notification_emails": ["release@fabrikam.example"],
        "polling": _POLLING,
        "deadline": "P21D",
    },
    UpdateOfferAndPublishInput: _IMAGES,
    ValidateAndGoLiveInput: {**_IMAGES, "approval": {"required": True, "timeout": "P14D", "approvers": ["dana"]}},
    CheckLastOperationStatusInput: {**_OFFER, "wait": True},
    ApproveGoLive: {"approver": "dana", "comment": "ship it"},
    RejectGoLive: {"approver": "dana", "reason": "wrong kernel"},
    DecideGoLive: {"approve": True, "approver": "dana", "comment": "ship it"},
}
_IMAGES_OF_INGESTION: dict[str, Any] = {
    **_IMAGES,
    "images": [
        {"plan_id": "lts", "version": "4.2.1", "os_vhd_url": vhd("4.2.1"), "generation": "x64Gen2"},
        {
            "plan_id": "lts",
            "version": "4.2.2",
            "gallery_image_id": GALLERY,
            "gallery_tenant_id": TENANT,
            "sku": {"id": "lts-gen2", "security_types": ["trusted"]},
        },
    ],
    "publish": "modular",
    "foreign_edits": "include",
    "deprecation": {"notice": "P90D", "reason": "endOfSupport", "alternative_plan_id": "edge"},
}
ON_INGESTION: dict[type[BaseModel], dict[str, Any]] = {
    CreateOfferAndPublishInput: {
        "publisher_id": "fabrikam",
        "configure": ProductIngestionApi().document("fabrikam", ["4.2.0"]),
        "if_exists": "replace",
    },
    UpdateOfferAndPublishInput: _IMAGES_OF_INGESTION,
    ValidateAndGoLiveInput: {
        **_IMAGES_OF_INGESTION,
        "approval": {"required": True, "timeout": 90, "approvers": ["dana"]},
    },
}
INPUTS = {
    **{model.__name__: (model, valid) for model, valid in VALID.items()},
    **{f"{model.__name__} of the other API": (model, valid) for model, valid in ON_INGESTION.items()},
}
WORKFLOWS = {model.__name__.removesuffix("Input"): model for model in list(VALID)[:4]}
every_model = pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
every_input = pytest.mark.parametrize(("model", "valid"), INPUTS.values(), ids=INPUTS)
every_workflow = pytest.mark.parametrize("workflow", WORKFLOWS)


def payload(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


def read_or_refused(model: type[BaseModel], sent: RawValue) -> str | None:
    """Read an input. Return the refusal, if any, which has to be one clean and bounded sentence."""
    begun = time.thread_time()
    refused = None
    try:
        validated(model, sent)
    except ApplicationError as error:
        refused = error
    # The SDK takes a workflow task of two seconds for a deadlock.
    assert time.thread_time() - begun < 1
    if refused is None:
        return None
    assert refused.type == "InvalidInput"
    assert refused.non_retryable
    assert refused.message.startswith(f"{model.__name__}: ")
    assert len(refused.message) <= 2000
    assert refused.message.isprintable()
    assert SECRET not in refused.message
    return refused.message


@every_input
def test_a_valid_input_is_read(model: type[BaseModel], valid: dict[str, Any]) -> None:
    assert read_or_refused(model, payload(json.dumps(valid).encode())) is None


@every_input
def test_an_input_with_any_member_changed_is_read_or_refused(model: type[BaseModel], valid: dict[str, Any]) -> None:
    @examples(20)
    @given(mutated(valid))
    def attempt(data: bytes) -> None:
        read_or_refused(model, payload(data))

    attempt()


@every_model
def test_any_bytes_in_any_encoding_are_read_or_refused(model: type[BaseModel]) -> None:
    encodings = [
        b"",
        b"json/plain",
        b"binary/null",
        b"binary/plain",
        b"json/protobuf",
        b"binary/encrypted",
        b"several",
    ]

    @examples(15)
    @given(st.binary(max_size=300), st.sampled_from(encodings) | st.binary(max_size=100))
    def attempt(data: bytes, encoding: bytes) -> None:
        read_or_refused(model, payload(data, encoding))

    attempt()


@pytest.mark.parametrize(
    ("model", "change", "reason"),
    [
        (CheckLastOperationStatusInput, {"operation_id": "op-1"}, "operation_id: is not a known member"),
        (ApproveGoLive, {"approver": "dana\u202e"}, "control characters"),
        (ValidateAndGoLiveInput, {"approval": {"approvers": ["dana"] * 101}}, "at most 100 items"),
        (UpdateOfferAndPublishInput, {"images": _IMAGES["images"] * 501}, "at most 1000 items"),
        (
            UpdateOfferAndPublishInput,
            {"images": [{"gallery_image_id": GALLERY + "x" * 500}]},
            "at most 500 characters",
        ),
        (
            UpdateOfferAndPublishInput,
            {"images": [{"sku": {"id": "lts", "security_types": ["trusted"] * 3}}]},
            "at most 2 items",
        ),
        (UpdateOfferAndPublishInput, {"deprecation": {"notice": "P3661D"}}, "notice: should be less than or equal"),
        (UpdateOfferAndPublishInput, {"deprecation": {SAS: 1}}, "REDACTED: is not a known member"),
        (
            CreateOfferAndPublishInput,
            {"configure": {"$schema": "x" * 501, "resources": []}},
            "configure.$schema: String should have at most 500 characters",
        ),
        (
            CreateOfferAndPublishInput,
            {"configure": {"$schema": "x", "resources": [{}] * 10_001}},
            "at most 10000 items",
        ),
        (UpdateOfferAndPublishInput, {SAS: 1, ODD_CHARACTERS: 2}, "REDACTED: is not a known member"),
        (UpdateOfferAndPublishInput, {f"x{number}": 0 for number in range(80_000)}, "… and 79980 more"),
        (UpdateOfferAndPublishInput, {"x" * 900_000: 0}, "…: is not a known member"),
        (UpdateOfferAndPublishInput, {"x": "x" * MAX_INPUT}, "bytes are too many, 1,000,000 are allowed"),
        (
            CheckLastOperationStatusInput,
            {"polling": Raw("[" * 150 + "0," * 400_000 + "0" + "]" * 150 + ',"polling":{}')},
            "polling",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_input_beyond_a_bound_is_refused_with_the_bound(model: type[BaseModel], change: Any, reason: str) -> None:
    refused = read_or_refused(model, payload(written({**VALID[model], **change}).encode()))
    assert refused is not None
    assert reason in refused


def test_a_payload_with_our_internal_encoding_for_several_values_is_refused() -> None:
    refused = read_or_refused(UpdateOfferAndPublishInput, payload(b"\xff\xfe", b"several"))
    assert refused is not None
    assert "values were sent" in refused


async def has_begun(run: Run) -> bool:
    """Return whether the first task of the run is over, whatever its result."""
    return (await run.describe()).status != 1 or any(
        event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        for event in (await run.fetch_history()).events
    )


async def task_failures(run: Run) -> list[str]:
    """Return why workflow tasks of a run failed. A task that keeps failing is retried for ever."""
    return [
        event.workflow_task_failed_event_attributes.failure.message
        async for event in run.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    ]


ENDS = {"InvalidInput", "OfferNotFound", "OfferExists", "PlanNotFound", "ValidationFailed", "MarketplaceError"}
"""The error types that a run may end with here. One whose input is accepted may also do its work."""


@every_workflow
async def test_no_input_makes_the_first_workflow_task_fail(desk: Desk, workflow: str) -> None:
    inputs = samples(mutated(VALID[WORKFLOWS[workflow]]), 12)
    runs: list[Run] = [await desk.start(workflow, payload(data)) for data in inputs]
    for run in runs:
        await until(partial(has_begun, run), f"{run.id} has begun")
        assert await task_failures(run) == []
        with contextlib.suppress(RPCError):  # it has ended
            await run.terminate()
        if (await run.describe()).status is WorkflowExecutionStatus.FAILED:
            assert (await failure_of(run)).type in ENDS


def samples(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """Return examples of a strategy, for tests that hypothesis cannot call."""
    found: list[bytes] = []

    @examples(count)
    @given(strategy)
    def collect(data: bytes) -> None:
        found.append(data)

    collect()
    return found


@pytest.fixture
def no_timer_fires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep timers from firing while many signals arrive.

    On the server that skips time, a timer that fires while a workflow task cancels it blocks the run for good
    (temporalio/sdk-java#3088). On a real server it does not.
    """
    monkeypatch.setattr("workflows.waiting.BETWEEN_LOOKS", timedelta(hours=1))


@pytest.mark.usefixtures("no_timer_fires")
async def test_a_run_survives_every_signal_update_and_query_and_goes_live(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"approvers": ["the one"]}))
    await desk.until_asked(run)
    with desk.temporal.auto_time_skipping_disabled():
        for name, model in (
            ("approve_go_live", ApproveGoLive),
            ("reject_go_live", RejectGoLive),
            ("check_now", ApproveGoLive),
        ):
            for data in [*samples(mutated(VALID[model]), 12), b"x" * (MAX_SIGNAL + 1)]:
                await run.signal(name, payload(data))
        for data in [*samples(mutated(VALID[DecideGoLive]), 12), b"x" * (MAX_SIGNAL + 1)]:
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await run.execute_update("decide_go_live", payload(data))
            cause = refused.value.cause
            assert isinstance(cause, ApplicationError)
            assert cause.type in {"InvalidInput", "DecisionRefused"}
            assert len(cause.message) <= 2000
    progress = await progress_of(run)
    assert await run.query("progress", {"not": "expected"}, result_type=Progress) == progress
    assert await task_failures(run) == []
    assert progress.approval is not None
    assert progress.approval.decision is None
    assert len(progress.notes) <= 50
    assert all(len(note) <= 500 and note.isprintable() and SECRET not in note for note in progress.notes)
    assert len(progress.model_dump_json()) < 2 * MAX_SIGNAL
    assert len(page(progress, run.id)) < MAX_SIGNAL
    await run.signal("approve_go_live", {"approver": "the one", "comment": ODD_CHARACTERS})
    assert (await run.result()).outcome == "live"


async def test_a_rejection_quotes_its_reason_cleaned_and_shortened(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await run.signal("reject_go_live", {"approver": "dana", "reason": ODD_CHARACTERS + "x" * 1900})
    error = await failure_of(run)
    assert error.type == "GoLiveRejected"
    assert error.message.isprintable()
    assert len(error.message) < 1500


async def reads(desk: Desk) -> int:
    return sum(entry["call"] == "read_slot" for entry in await desk.requests())


async def test_looks_do_not_count_towards_the_limit_of_rounds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.stages.MAX_ROUNDS", 2)
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    surveys = await reads(desk)
    with desk.temporal.auto_time_skipping_disabled():
        for number in range(1, 4):
            await run.signal("check_now")

            async def looked(number: int = number) -> bool:
                waiting = (await progress_of(run)).waiting_for or ""
                return waiting.startswith("approval") and await reads(desk) >= surveys + 2 * number

            await until(looked, "the run reads the offer twice more")
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"


@pytest.mark.usefixtures("no_timer_fires")
async def test_check_now_is_ignored_once_the_history_is_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.history.MAX_EVENTS", 40)
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    with desk.temporal.auto_time_skipping_disabled():
        for _ in range(30):
            await run.signal("check_now")
            await progress_of(run)
    assert any("check_now is not heeded any more" in note for note in (await progress_of(run)).notes)
    await desk.temporal.sleep(timedelta(minutes=1))
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
