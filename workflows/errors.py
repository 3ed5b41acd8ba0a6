"""Turns whatever went wrong in a run into one error of the documented types."""

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    RetryState,
)
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from marketplace.model import OfferKey, OperationKind, OperationReport, OperationState, shown_id

MAX_ERROR = 3000
"""Characters."""


def application_error(error: BaseException) -> ApplicationError:
    """Return the reason behind an error of an activity or a child.

    If the marketplace kept failing until a stage's time was used up, the reason is ``OperationTimedOut``.
    """
    reason = error
    while isinstance(reason, ActivityError | ChildWorkflowError) and reason.cause is not None:
        if isinstance(reason.cause, TemporalTimeoutError):
            return _timed_out(reason.cause.cause)
        if isinstance(reason, ActivityError) and reason.retry_state is RetryState.TIMEOUT:
            return _timed_out(reason.cause)
        reason = reason.cause
    if isinstance(error, ApplicationError) and error.non_retryable and error.failure is None:
        return error  # raised by the run itself
    if isinstance(reason, ApplicationError):
        return final(reason.type or "MarketplaceError", reason.message)
    return final("MarketplaceError", str(reason))


def last_attempt(error: ActivityError) -> BaseException | None:
    """Return what the last attempt of an activity failed with, also where the time for more attempts is used up."""
    cause = error.cause
    return (cause.cause or cause) if isinstance(cause, TemporalTimeoutError) else cause


def refused_for_good(error: BaseException) -> bool:
    """Whether the marketplace has refused. If not, the operation may have begun although the call failed."""
    cause = error.cause if isinstance(error, ActivityError | ChildWorkflowError) else None
    return isinstance(cause, ApplicationError) and cause.non_retryable and cause.type != "OperationTimedOut"


def final(kind: str, message: str) -> ApplicationError:
    """Return an error that ends the run."""
    clipped = message if len(message) <= MAX_ERROR else f"{message[: MAX_ERROR - 1]}…"
    return ApplicationError(clipped, type=kind, non_retryable=True)


def ended_badly(offer: OfferKey, report: OperationReport) -> ApplicationError | None:
    """Return the error with which a run ends because of an operation's end; ``None`` if the operation succeeded."""
    what = f"{offer}: {report.kind.replace('_', '-')} {shown_id(report.operation_id)}"
    if report.state is OperationState.CANCELED:
        return final(
            "OperationCanceled",
            f"{what} was cancelled at the marketplace. If that was a mistake, publish again.",
        )
    if report.state is OperationState.FAILED:
        said = "; ".join(report.errors) or "the marketplace gives no reason"
        advice = (
            ". Correct this and start the run again. If the image is at fault, give its new disk a new version, and"
            " take this version out of the draft."
        )
        # Clip what was said, so that the advice is never cut off.
        message = f"{what} failed. {said}"[: MAX_ERROR - len(advice)].rstrip(". ") + advice
        return final("PublishFailed" if report.kind is OperationKind.PUBLISH else "GoLiveFailed", message)
    return None


def _timed_out(last: BaseException | None) -> ApplicationError:
    seen = f" The last attempt: {last}." if last else ""
    return final(
        "OperationTimedOut",
        f"the marketplace did not finish in the time that this run allows.{seen}"
        " Start the run again once the marketplace works: nothing is done twice.",
    )
