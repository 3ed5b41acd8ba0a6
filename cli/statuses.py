"""The exit statuses, and the error that carries one."""

from enum import IntEnum


class Status(IntEnum):
    """The exit status of the command."""

    OK = 0
    OTHER = 1
    USAGE = 2
    REFUSED = 3
    MARKETPLACE = 4
    NOT_APPROVED = 5
    NOT_AUTHORIZED = 6
    TIMED_OUT = 7
    CANCELED = 8


MEANINGS = {
    Status.OK: "ended well",
    Status.OTHER: "anything else: Temporal does not answer, there is no such run, a decision was refused",
    Status.USAGE: "wrong usage or configuration",
    Status.REFUSED: "the run was refused: its input is wrong, or the state of the offer does not allow it",
    Status.MARKETPLACE: "the marketplace refused or failed",
    Status.NOT_APPROVED: "a person rejected, or nobody decided",
    Status.NOT_AUTHORIZED: "no rights at the marketplace, or by the worker's own policy",
    Status.TIMED_OUT: "the marketplace took longer than the deadline, or did not answer until then",
    Status.CANCELED: "the run was cancelled or terminated",
}

STATUS_OF_ERROR = {
    "InvalidInput": Status.REFUSED,
    "OfferNotFound": Status.REFUSED,
    "OfferExists": Status.REFUSED,
    "PlanNotFound": Status.REFUSED,
    "VersionConflict": Status.REFUSED,
    "ImageLimitReached": Status.REFUSED,
    "PublishInProgress": Status.REFUSED,
    "ForeignEdits": Status.REFUSED,
    "ValidationFailed": Status.MARKETPLACE,
    "PublishFailed": Status.MARKETPLACE,
    "GoLiveFailed": Status.MARKETPLACE,
    "OperationCanceled": Status.MARKETPLACE,
    "MarketplaceError": Status.MARKETPLACE,
    "GoLiveRejected": Status.NOT_APPROVED,
    "ApprovalTimedOut": Status.NOT_APPROVED,
    "NotAuthorized": Status.NOT_AUTHORIZED,
    "OperationTimedOut": Status.TIMED_OUT,
}
"""The status for each type of error that a run fails with."""


class CommandError(Exception):
    """The command has failed. The message is a sentence for a person."""

    def __init__(self, sentence: str, status: Status = Status.OTHER) -> None:
        super().__init__(sentence)
        self.status = status
