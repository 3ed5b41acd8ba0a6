"""Measures runs through the SDK's metrics: never during replay, and without names of people, offers or plans."""

import re
from collections.abc import Mapping
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from marketplace.model import OperationReport, StepState
    from workflows.messages import PublishStage
    from workflows.publication import Following

STAGE_SECONDS = "offer_publisher_stage_seconds"
STEP_SECONDS = "offer_publisher_step_seconds"
PUBLICATIONS = "offer_publisher_publications"

_ENDED = {StepState.COMPLETE, StepState.BLOCKED, StepState.REJECTED, StepState.CANCELED}
_NOT_BEGUN = {StepState.NOT_STARTED, StepState.UNKNOWN}


def left(stage: PublishStage, after: timedelta) -> None:
    """Record how long the run was in a stage."""
    labels = {"workflow": workflow.info().workflow_type, "stage": str(stage)}
    _record(STAGE_SECONDS, "Seconds that runs were in a stage", after, labels)


def looked(following: Following, report: OperationReport) -> None:
    """Record the steps that have ended since the last look. A step between two looks is missed."""
    now = workflow.now()
    for step in report.steps:
        if step.state in _ENDED and step.id in following.steps_since:
            took = now - following.steps_since.pop(step.id)
            _record(STEP_SECONDS, "Seconds that steps of the marketplace took", took, {"step": _word(step.id)})
        elif step.state not in _ENDED | _NOT_BEGUN:
            following.steps_since.setdefault(step.id, now)


def ended(outcome: str) -> None:
    """Count a run, by its outcome or by the type of its error."""
    counter = workflow.metric_meter().create_counter(PUBLICATIONS, "Runs that have ended")
    counter.add(1, {"workflow": workflow.info().workflow_type, "outcome": outcome})


def _record(name: str, description: str, took: timedelta, labels: Mapping[str, str]) -> None:
    workflow.metric_meter().create_histogram_float(name, description, "s").record(took.total_seconds(), labels)


def _word(step: str) -> str:
    """Return a step's ID as a metric label. Unusual IDs become ``other``, which bounds the number of labels."""
    return step if re.fullmatch(r"[A-Za-z][A-Za-z_-]{0,39}", step) else "other"
