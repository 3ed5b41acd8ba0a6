"""Turns what a person sent into a model, or into an answer that names each wrong member.

Workflows, signals and updates take their payload raw. Left to the SDK, a payload of the wrong shape keeps a
workflow retrying its first task for ever, and a signal is dropped with only a log line. Raw bytes also keep the
spelling of an offer's numbers, which decoding would lose.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from marketplace.json_text import Node, parse

Model = TypeVar("Model", bound=BaseModel)

NOTHING = RawValue(Payload())
"""Stands for a payload that was not sent."""

MAX_MESSAGE = 2000


def several(count: int) -> RawValue:
    """Stand in for ``count`` payloads where one is expected, so that `read` can refuse them."""
    return RawValue(Payload(metadata={"encoding": b"several"}, data=str(count).encode()))


def read(model: type[Model], sent: RawValue) -> Model:
    """Validate what was sent; nothing at all, and ``null``, count as ``{}``.

    Raises:
        ApplicationError: Of type ``InvalidInput``, non-retryable, naming each wrong member, never its value.
    """
    payload = sent.payload
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    if encoding == "several":
        raise invalid(model, [f"one JSON object is expected, {payload.data.decode()} values were sent"])
    if encoding == "binary/encrypted":
        raise invalid(model, ["it is encrypted with a key that the worker does not hold, or was changed on its way"])
    if encoding not in {"", "binary/null", "json/plain"}:
        raise invalid(model, [f"JSON is expected, not a payload of encoding {encoding[:60]!r}"])
    data = b"{}" if payload.data in {b"", b"null"} else payload.data
    try:
        wanted = model.model_validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise invalid(model, (_sentence(detail) for detail in details)) from None
    twice = list(_given_twice(parse(data.decode())))
    if twice:
        raise invalid(model, (f"{member}: is given twice" for member in twice))
    return wanted


def invalid(model: type[BaseModel], complaints: Iterable[str]) -> ApplicationError:
    """Make the error that tells what is wrong with an input."""
    message = f"{model.__name__}: " + "; ".join(complaints)
    if len(message) > MAX_MESSAGE:
        message = message[:MAX_MESSAGE] + " …"
    return ApplicationError(message, type="InvalidInput", non_retryable=True)


def _given_twice(node: Node, place: str = "") -> Iterator[str]:
    """Find the members that readers of JSON would disagree on; an offer's document is the marketplace's to read."""
    seen: set[str] = set()
    for member in node.members():
        if member.key in seen:
            yield place + member.key
        seen.add(member.key)
        if (place, member.key) != ("", "offer"):
            yield from _given_twice(member.value, f"{place}{member.key}.")
    for number, item in enumerate(node.items()):
        yield from _given_twice(item, f"{place}{number}.")


def _sentence(detail: ErrorDetails) -> str:
    member = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "missing":
            said = "is missing"
        case "extra_forbidden":
            said = "is not a known member"
        case "value_error":
            said = detail["msg"].removeprefix("Value error, ")
        case "string_pattern_mismatch":
            said = f"must match {detail['ctx']['pattern']}"
        case _:
            said = detail["msg"].replace("Input should", "should")
    return f"{member}: {said}" if member else said
