"""The list of an offer's operations, read and put into order.

Pure functions: none raises on JSON of any shape.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from marketplace.cloud_partner.status import is_of_another_kind, kind_of, settled
from marketplace.model import Operation, OperationKind, OperationState
from marketplace.wording import lowered

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d*))?\s*(?:(Z)|([+-])(\d\d):?(\d\d))?",
    re.ASCII | re.IGNORECASE,
)
_MICROSECOND_DIGITS = 6
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]{0,199}")


def operations(body: object) -> list[Operation]:
    """Return the operations of a list's body, newest first; those that run come before all others.

    The order of the service's list is not documented, so ``changedTime`` decides; where that is missing or
    equal the list's own order stays. The body is an array, ``{"value": [...]}``, one object, or ``null``;
    items without an id that could stand in a URL are left out, and so are repeated ones and those that are neither
    a publish nor a go-live: a cancellation may be listed in the slot of what it cancels.
    """
    wrapped = lowered(body).get("value")
    listed = wrapped if isinstance(wrapped, list) else body if isinstance(body, list) else [body]
    found: dict[str, Operation] = {}
    for item in listed:
        operation = _operation(item)
        if operation is not None:
            found.setdefault(operation.id, operation)
    return _newest_first(list(found.values()))


def identifier(value: object) -> str | None:
    """Return ``value`` where it is an id that can stand in a URL and in a log, ``None`` otherwise."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def moment(text: object) -> datetime | None:
    """Return a timestamp of the service in UTC, ``None`` for anything else.

    Documented are UTC times with ``Z`` and six or seven fractional digits; any number of digits, an offset
    and no zone at all (which is UTC) are read too. What is finer than a microsecond is dropped.
    """
    found = _MOMENT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
    microsecond = int((fraction or "")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0"))
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        local = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            microsecond,
            tzinfo=timezone(offset),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _operation(item: object) -> Operation | None:
    members = lowered(item)
    operation_id = identifier(members.get("id"))
    if operation_id is None or is_of_another_kind(members):
        return None
    kind = kind_of(members) or OperationKind.PUBLISH
    word = members.get("submissionstate") or members.get("status")
    return Operation(
        id=operation_id, kind=kind, state=settled(kind, word), changed_at=moment(members.get("changedtime"))
    )


def _newest_first(listed: list[Operation]) -> list[Operation]:
    # An operation without a time takes that of the one listed before it, so that it stays beside it.
    keys: dict[str, tuple[bool, datetime]] = {}
    before = datetime.max.replace(tzinfo=UTC)
    for operation in listed:
        before = operation.changed_at or before
        keys[operation.id] = (operation.state is OperationState.RUNNING, before)
    return sorted(listed, key=lambda operation: keys[operation.id], reverse=True)
