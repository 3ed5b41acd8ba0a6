"""The steps of an operation: how long they take, and how far they are.

Progress is a pure function of the planned steps, the start and the time, so nothing runs in the background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from sandbox.faults import StepFault
from sandbox.state import Operation, StepPlan

StepStatus: TypeAlias = Literal[
    "notStarted",
    "inProgress",
    "waitingForPublisherReview",
    "blocked",
    "rejected",
    "failed",
    "complete",
    "canceled",
]

Reached: TypeAlias = Literal["running", "sign_off", "done", "failed"]

SIGN_OFF = "publisher-signoff"
CERTIFICATION = "displaycertify"
TEST_DRIVE = "displaytestdrive"

_HOUR = 3_600.0
_DAY = 24 * _HOUR
_ENDINGS: Mapping[str, StepStatus] = {"fail": "failed", "block": "blocked", "reject": "rejected"}

_VIRTUAL_MACHINE_STEPS = (
    StepPlan(
        id="displaydummycertify",
        name="Validate Pre-Requisites",
        description="Checks the settings of the offer.",
        estimate="< 15 min",
        seconds=900,
    ),
    StepPlan(
        id=TEST_DRIVE,
        name="Test drive validation",
        description="Deploys the test drive once.",
        estimate="< 2 hour",
        seconds=2 * _HOUR,
    ),
    StepPlan(
        id=CERTIFICATION,
        name="Certification",
        description="Automatic and manual checks of the images.",
        estimate="~2-3 days",
        seconds=3 * _DAY,
    ),
    StepPlan(
        id="displayprovision",
        name="Provisioning",
        description="Replicates the images to the regions.",
        estimate="< 1 day",
        seconds=4 * _DAY,
    ),
    StepPlan(
        id="displaypackage",
        name="Packaging and Lead Generation Registration",
        description="Builds what customers see and connects the lead system.",
        estimate="< 1 hour",
        seconds=_HOUR,
    ),
    StepPlan(
        id=SIGN_OFF,
        name="Publisher signoff",
        description="The preview is ready for inspection.",
        estimate="< 1 hour",
        seconds=0,
        role="sign_off",
    ),
    StepPlan(
        id="live",
        name="Live",
        description="Makes the offer visible to everybody.",
        estimate="~2-5 days",
        seconds=4 * _DAY,
        role="live",
    ),
)


@dataclass(frozen=True)
class StepView:
    """A step at one moment."""

    plan: StepPlan
    status: StepStatus
    percent: int = 0
    finished: datetime | None = None


@dataclass(frozen=True)
class Progress:
    """An operation at one moment.

    Attributes:
        reached: Whether it still runs, waits for sign-off, is done or has failed.
        since: When it began to wait, was done or failed. While it runs, when its current step began.
    """

    steps: Sequence[StepView]
    reached: Reached
    since: datetime


def plan_steps(
    *, going_live: bool, test_drive: bool, durations: Mapping[str, float], faults: Mapping[str, StepFault]
) -> list[StepPlan]:
    """Plan the steps of an operation. A go-live shows the steps of its publish as complete."""
    plans = []
    for template in _VIRTUAL_MACHINE_STEPS:
        if template.id == TEST_DRIVE and not test_drive:
            continue
        plan = template.model_copy()
        plan.seconds = durations.get(plan.id, plan.seconds)
        plan.done_before = going_live and plan.role != "live"
        plan.fault = faults.get(plan.id)
        plans.append(plan)
    return plans


def progress_of(operation: Operation, now: datetime) -> Progress:
    """Return how far the operation is at `now`."""
    until = min(now, operation.ended) if operation.ended else now
    progress = _progress_at(operation, until)
    if operation.outcome != "canceled":
        return progress
    steps = [view if view.status == "complete" else StepView(view.plan, "canceled") for view in progress.steps]
    return Progress(steps, progress.reached, progress.since)


def _progress_at(operation: Operation, now: datetime) -> Progress:
    views: list[StepView] = []
    began = operation.started
    reached: Reached = "running"
    halted = False
    for plan in operation.steps:
        if plan.done_before:
            views.append(StepView(plan, "complete", 100, operation.started))
        elif halted or (plan.role == "live" and operation.kind == "publish"):
            views.append(StepView(plan, "notStarted"))
        else:
            view, ends = _view_of(operation, plan, began, now)
            views.append(view)
            if view.status == "complete":
                began = ends
                continue
            halted = True
            if view.status == "waitingForPublisherReview":
                began, reached = ends, "sign_off"
            elif view.status in _ENDINGS.values() and plan.fault and not plan.fault.operation_stays_running:
                began, reached = ends, "failed"
    if not halted and operation.steps:
        reached = "sign_off" if operation.kind == "publish" else "done"
    return Progress(views, reached, began)


def _view_of(operation: Operation, plan: StepPlan, began: datetime, now: datetime) -> tuple[StepView, datetime]:
    fault = plan.fault
    seconds = plan.seconds if fault is None or fault.duration_seconds is None else fault.duration_seconds
    ends = began + timedelta(seconds=seconds)
    if fault and fault.outcome == "never":
        return StepView(plan, "inProgress", _percent(began, seconds, now)), ends
    if now < ends:
        return StepView(plan, "inProgress", _percent(began, seconds, now)), ends
    if fault and fault.outcome:
        return StepView(plan, _ENDINGS[fault.outcome], 0, ends), ends
    if plan.role == "sign_off" and not operation.signed_off:
        return StepView(plan, "waitingForPublisherReview"), ends
    return StepView(plan, "complete", 100, ends), ends


def _percent(began: datetime, seconds: float, now: datetime) -> int:
    """Return the progress of a step that is not complete: at most 99, however long it takes."""
    elapsed = (now - began).total_seconds()
    return max(0, min(99, int(100 * elapsed / seconds))) if seconds else 99
