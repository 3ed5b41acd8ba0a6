"""The list of an offer's operations.

Pure functions, which accept JSON of any shape.
"""

import re
from datetime import UTC, datetime

from marketplace.cloud_partner.status import is_of_another_kind, kind_of, settled
from marketplace.model import Operation, OperationKind, OperationState
from marketplace.timestamps import timestamp
from marketplace.wording import lower_keys

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]{0,199}")


def operations(body: object) -> list[Operation]:
    """Return the operations of a list, running ones first, then newest first.

    The order of the service's list is not documented. Operations are sorted by ``changedTime``, and stay in the
    list's order where it is missing or equal. Skipped are repeated items, items whose ID could not be part of a URL,
    and operations that are neither a publish nor a go-live. A cancellation may be listed with the slot of the
    operation that it cancels.

    Args:
        body: An array, ``{"value": [...]}``, a single object, or ``null``.
    """
    wrapped = lower_keys(body).get("value")
    listed = wrapped if isinstance(wrapped, list) else body if isinstance(body, list) else [body]
    found: dict[str, Operation] = {}
    for item in listed:
        operation = _operation(item)
        if operation is not None:
            found.setdefault(operation.id, operation)
    return _newest_first(list(found.values()))


def identifier(value: object) -> str | None:
    """Return ``value`` if it is an ID that can be part of a URL and a log line, else ``None``."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _operation(item: object) -> Operation | None:
    members = lower_keys(item)
    operation_id = identifier(members.get("id"))
    if operation_id is None or is_of_another_kind(members):
        return None
    kind = kind_of(members) or OperationKind.PUBLISH
    word = members.get("submissionstate") or members.get("status")
    return Operation(
        id=operation_id, kind=kind, state=settled(kind, word), changed_at=timestamp(members.get("changedtime"))
    )


def _newest_first(listed: list[Operation]) -> list[Operation]:
    # An operation without a time takes the time of the one listed before it, to stay next to it.
    keys: dict[str, tuple[bool, datetime]] = {}
    before = datetime.max.replace(tzinfo=UTC)
    for operation in listed:
        before = operation.changed_at or before
        keys[operation.id] = (operation.state is OperationState.RUNNING, before)
    return sorted(listed, key=lambda operation: keys[operation.id], reverse=True)
