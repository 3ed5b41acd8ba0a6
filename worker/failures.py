"""Converts failures for histories: with what a person needs, without stack traces."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import FailureError

from marketplace.errors import MarketplaceError, RuleBroken

RAISED_ON_PURPOSE = (FailureError, MarketplaceError, RuleBroken)


class PlainFailures(DefaultFailureConverter):
    """Omits the stack trace of errors that were raised on purpose. A defect keeps its stack trace.

    The message of an error says everything. The CLI would print a stack trace below it, and the history would keep
    paths of the worker's machine.
    """

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Convert a failure. Its causes are converted by this method as well."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, RAISED_ON_PURPOSE):
            failure.stack_trace = ""
        if isinstance(exception, MarketplaceError | RuleBroken):
            # The message holds what the HTTP library raised. The cause would add only paths.
            failure.ClearField("cause")
