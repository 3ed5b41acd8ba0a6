"""What the marketplace refuses, in words of its own; each API says it in its own form."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Detail:
    """One member of the document which is at fault."""

    code: str
    message: str
    target: str


class RefusedError(Exception):
    """The call is answered with an error."""

    def __init__(self, status: int, code: str, message: str, details: Sequence[Detail] = ()) -> None:
        """Remember what to answer."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
