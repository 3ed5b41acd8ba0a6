"""How failures are written into histories: what a person needs, without the code that noticed it."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import FailureError

from marketplace.errors import MarketplaceError, RuleBroken

RAISED_ON_PURPOSE = (FailureError, MarketplaceError, RuleBroken)


class PlainFailures(DefaultFailureConverter):
    """Leaves the stack trace out where the failure was raised on purpose; that of a defect stays.

    Such an error says all in its message. The CLI would print the trace below it, a screen long, and the history
    would keep it, with the paths of the worker's machine.
    """

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Write a failure; its causes come here as well."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, RAISED_ON_PURPOSE):
            failure.stack_trace = ""
        if isinstance(exception, MarketplaceError | RuleBroken):
            # What the HTTP library raised is in the message; the rest of it is paths.
            failure.ClearField("cause")
