"""Validates the payloads that people send. An error names each wrong member.

Workflows, signals and updates take raw payloads. If the SDK decoded them, a payload of the wrong shape would make a
workflow retry its first task forever, and a signal would be dropped with only a log line. Raw bytes also keep the
spelling of an offer's numbers, which decoding would lose.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from difflib import get_close_matches

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from marketplace.wording import MAX_LISTED, one_line

Model = TypeVar("Model", bound=BaseModel)

NOTHING = RawValue(Payload())
"""Stands for a payload that was not sent."""

MAX_MESSAGE = 2000
MAX_MEMBER = 200
MAX_MISSPELT = 50
"""Characters. No known member has a longer name, and longer ones take long to compare."""

MAX_INPUT = 1_000_000
"""Bytes. An offer is passed to an activity as a JSON string of at most twice its size. Temporal's limit is 2 MiB."""

MAX_SIGNAL = 256 * 1024
"""Bytes. The longest valid decision is much shorter."""


def several(count: int) -> RawValue:
    """Return a payload that stands for ``count`` payloads where one is expected; `validated` refuses it."""
    return RawValue(Payload(metadata={"encoding": b"several"}, data=str(count).encode()))


def validated(model: type[Model], sent: RawValue, limit: int = MAX_INPUT) -> Model:
    """Return what was sent, validated. No payload and ``null`` count as ``{}``.

    Args:
        model: The expected model.
        sent: The payload.
        limit: The largest payload, in bytes.

    Raises:
        ApplicationError: Of type ``InvalidInput``, non-retryable, naming each wrong member, never its value.
    """
    payload = sent.payload
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    if encoding == "several":
        # Anybody can send a payload of this encoding with arbitrary bytes.
        count = payload.data.decode(errors="replace")
        raise invalid(model, [f"one JSON object is expected, {one_line(count, 20)} values were sent"])
    if encoding == "binary/encrypted":
        raise invalid(model, ["it is encrypted with a key that the worker does not have, or was altered in transit"])
    if encoding not in {"", "binary/null", "json/plain"}:
        raise invalid(model, [f"JSON is expected, not a payload of encoding {encoding[:60]!r}"])
    if len(payload.data) > limit:
        raise invalid(model, [f"{len(payload.data):,} bytes are too many, {limit:,} are allowed"])
    data = b"{}" if payload.data in {b"", b"null"} else payload.data
    try:
        wanted = model.model_validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        more = [f"… and {len(details) - MAX_LISTED} more"] if len(details) > MAX_LISTED else []
        raise invalid(model, [*(_sentence(model, detail) for detail in details[:MAX_LISTED]), *more]) from None
    twice = list(_given_twice(json.loads(data, object_pairs_hook=_Object, parse_int=str, parse_float=str)))
    if twice:
        raise invalid(model, (f"{one_line(member, MAX_MEMBER)}: is given twice" for member in twice[:MAX_LISTED]))
    return wanted


def invalid(model: type[BaseModel], complaints: Iterable[str]) -> ApplicationError:
    """Return the error that lists what is wrong with an input."""
    message = f"{model.__name__}: " + "; ".join(complaints)
    return ApplicationError(one_line(message, MAX_MESSAGE), type="InvalidInput", non_retryable=True)


class _Object(dict[str, Any]):
    """A JSON object that remembers which members it was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: list[str] = []
        if len(self) < len(pairs):
            self.twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]


def _given_twice(value: Any, place: str = "") -> Iterator[str]:
    """Yield members that are given twice, which JSON readers treat differently. Skip the offer's own document."""
    if isinstance(value, _Object):
        yield from (place + key for key in value.twice)
        for key, member in value.items():
            if place or key not in {"offer", "configure"}:
                yield from _given_twice(member, f"{place}{key}.")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _given_twice(item, f"{place}{number}.")


def _sentence(model: type[BaseModel], detail: ErrorDetails) -> str:
    member = one_line(".".join(str(part) for part in detail["loc"]), MAX_MEMBER)
    match detail["type"]:
        case "missing":
            said = "is missing"
        case "extra_forbidden":
            said = f"is not a known member{_hint(model, detail['loc'])}"
        case "value_error":
            said = detail["msg"].removeprefix("Value error, ")
        case "string_pattern_mismatch":
            said = f"must match {detail['ctx']['pattern']}"
        case _:
            said = detail["msg"].replace("Input should", "should")
    return f"{member}: {said}" if member else said


def _hint(model: type[BaseModel], place: Sequence[int | str]) -> str:
    """Return a question about the known member that an unknown one resembles, or nothing."""
    *parents, name = place
    if len(str(name)) > MAX_MISSPELT:
        return ""
    schema = model.model_json_schema()
    known: dict[str, Any] = schema
    for parent in parents:
        known = known.get("items", {}) if isinstance(parent, int) else known.get("properties", {}).get(parent, {})
        known = next((each for each in known.get("anyOf", []) if "$ref" in each), known)
        known = schema["$defs"][known["$ref"].rsplit("/", 1)[-1]] if "$ref" in known else known
    alike = get_close_matches(str(name), sorted(known.get("properties", {})), n=1)
    return f" (did you mean {alike[0]}?)" if alike else ""
