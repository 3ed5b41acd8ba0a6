"""JSON text read and edited in place.

An offer document is edited as text: what we do not mean to change comes back byte for byte, with its member
order, number spelling, escapes, whitespace, duplicate members and every ``&`` as it was. What is sent takes the
place of what was there, and the service may add members that nobody has described: a document rebuilt from a
model would lose them.

A `Node` is a value and where it stands in the text. Edits are `Splice` objects that `apply` makes together::

    root = parse(text)
    splices = change_members(root, remove=["eTag"], add=[("id", written("webstack"))])
    text = apply(text, splices)
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, NoReturn, TypeVar

MAX_PARTS = 100_000
"""Members of one object, or items of one array: each becomes a node."""

Part = TypeVar("Part")

_WHITESPACE = re.compile(r"[ \t\n\r]*")
_KINDS = {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean", "n": "null"}


class Number(str):
    """A number as it is spelled: no digit is lost, and none can be too many for a conversion."""

    __slots__ = ()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name} is no JSON value")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse_constant)

# Only tells where a value ends: what it makes of numbers and objects takes no memory.
_MEASURE = json.JSONDecoder(parse_int=bool, parse_float=bool, parse_constant=_refuse_constant, object_pairs_hook=bool)


class Node:
    """A JSON value at its place in a text.

    Attributes:
        source: The whole text.
        start: Index of the value's first character in ``source``.
        end: Index after its last character.
    """

    __slots__ = ("_items", "_members", "end", "source", "start")

    def __init__(self, source: str, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end
        self._members: list[Member] | None = None
        self._items: list[Node] | None = None

    def __repr__(self) -> str:
        """Say where, not what: the text may hold the signature of a SAS."""
        return f"Node({self.kind} at {self.start}:{self.end})"

    @property
    def text(self) -> str:
        """The value exactly as it is written."""
        return self.source[self.start : self.end]

    @property
    def kind(self) -> str:
        """``object``, ``array``, ``string``, ``number``, ``boolean`` or ``null``."""
        return _KINDS.get(self.source[self.start], "number")

    @property
    def value(self) -> Any:
        """The value decoded; numbers as `Number`, of duplicate members the last."""
        return _decoded(self.source, self.start)[0]

    @property
    def string(self) -> str | None:
        """The decoded string, ``None`` when the value is anything else."""
        return str(self.value) if self.kind == "string" else None

    def members(self) -> list["Member"]:
        """Return the members of an object in their order, duplicates too; none for any other value.

        Raises:
            ValueError: There are more than `MAX_PARTS`.
        """
        if self._members is None:
            self._members = _bounded(self._read_members()) if self.kind == "object" else []
        return self._members

    def items(self) -> list["Node"]:
        """Return the items of an array; none for any other value.

        Raises:
            ValueError: There are more than `MAX_PARTS`.
        """
        if self._items is None:
            self._items = _bounded(self._read_items()) if self.kind == "array" else []
        return self._items

    def get(self, key: str) -> "Node | None":
        """Return the value of a member: of duplicates the last one, as JSON readers do."""
        return next((member.value for member in reversed(self.members()) if member.key == key), None)

    def _read_members(self) -> "Iterable[Member]":
        source, index = self.source, _skip(self.source, self.start + 1)
        while source[index] != "}":
            key, key_end = _decoded(source, index)
            start = _skip(source, _skip(source, key_end) + 1)
            end = _end(source, start)
            yield Member(key, index, key_end, Node(source, start, end))
            index = _next(source, end)

    def _read_items(self) -> "Iterable[Node]":
        source, index = self.source, _skip(self.source, self.start + 1)
        while source[index] != "]":
            end = _end(source, index)
            yield Node(source, index, end)
            index = _next(source, end)


class Member(NamedTuple):
    """A member of an object.

    Attributes:
        key: Its name, decoded.
        key_start: Index of the name's opening quote in the whole text.
        key_end: Index after the name's closing quote.
        value: Its value.
    """

    key: str
    key_start: int
    key_end: int
    value: Node


class Splice(NamedTuple):
    """A piece of text to be replaced; an insertion where ``start`` equals ``end``."""

    start: int
    end: int
    replacement: str


def parse(text: str) -> Node:
    """Return the value that ``text`` holds. A byte order mark and whitespace around it are accepted.

    Raises:
        ValueError: The text is not JSON, holds ``NaN`` or ``Infinity``, is nested too deeply, or goes on
            after its value. The message says where; it never quotes the text.
    """
    start = _skip(text, 1 if text.startswith("\ufeff") else 0)
    end = _end(text, start)
    if _skip(text, end) != len(text):
        raise ValueError(f"not JSON: something follows the value, at character {_skip(text, end)}")
    return Node(text, start, end)


def written(value: Any) -> str:
    """Return ``value`` as JSON text, with every character that needs no escape as it is."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def array_text(items: Iterable[str]) -> str:
    """Return an array of JSON texts."""
    return f"[{', '.join(items)}]"


def object_text(members: Mapping[str, str]) -> str:
    """Return an object of JSON texts by name."""
    return "{" + ", ".join(f"{written(key)}: {text}" for key, text in members.items()) + "}"


def set_value(node: Node, replacement: str) -> Splice:
    """Return the edit that writes ``replacement`` (JSON text) in the place of a value."""
    return Splice(node.start, node.end, replacement)


def change_members(node: Node, *, remove: Collection[str] = (), add: Sequence[tuple[str, str]] = ()) -> list[Splice]:
    """Return the edits that remove members from an object and add members at its end.

    A removed member takes its comma along. An added one is separated from the member before it as that member
    is from what is before it, so an indented document stays indented. What is added by one edit and removed
    by another leaves the text as it was.

    Args:
        node: An object.
        remove: Names of members to remove, each with all its duplicates.
        add: Names and values (JSON text) of members to add, in this order.

    Raises:
        ValueError: ``node`` is not an object.
    """
    if node.kind != "object":
        raise ValueError(f"members can be changed in an object only, not in a value of kind {node.kind}")
    members = node.members()
    remove = frozenset(remove)
    splices: list[Splice] = []
    kept: Member | None = None
    for index, member in enumerate(members):
        if member.key not in remove:
            kept = member
        elif kept is not None:
            splices.append(Splice(members[index - 1].value.end, member.value.end, ""))
        else:
            last = index + 1 == len(members)
            splices.append(Splice(member.key_start, member.value.end if last else members[index + 1].key_start, ""))
    if add:
        splices.append(_addition(node, kept, add))
    return splices


def apply(text: str, splices: Iterable[Splice]) -> str:
    """Return ``text`` with all edits made; their indexes are those of ``text``.

    Raises:
        ValueError: Two edits overlap.
    """
    pieces: list[str] = []
    done = 0
    # Insertions sort before a removal that begins at the same place, and keep their order among themselves.
    for splice in sorted(splices, key=lambda each: (each.start, each.end)):
        if splice.start < done:
            raise ValueError(f"two edits overlap at character {splice.start}")
        pieces += (text[done : splice.start], splice.replacement)
        done = splice.end
    return "".join([*pieces, text[done:]])


def _addition(node: Node, kept: Member | None, add: Sequence[tuple[str, str]]) -> Splice:
    """Insert members after ``kept``, or at the beginning of an object that keeps none."""
    source, members = node.source, node.members()
    colon, comma, index = ": ", ", ", node.start + 1
    if members:
        first = members[0]
        colon = source[members[-1].key_end : members[-1].value.start]
        comma = "," + source[node.start + 1 : first.key_start]
        index = first.key_start if kept is None else kept.value.end
    if len(members) > 1:
        comma = source[members[-2].value.end : members[-1].key_start]
    text = comma.join(f"{written(key)}{colon}{value}" for key, value in add)
    return Splice(index, index, text if kept is None else comma + text)


def _bounded(parts: Iterable[Part]) -> list[Part]:
    found = list(islice(parts, MAX_PARTS + 1))
    if len(found) > MAX_PARTS:
        raise ValueError(f"more than {MAX_PARTS:,} parts in one value")
    return found


def _end(text: str, index: int) -> int:
    """Return where the value at ``index`` ends."""
    return _decoded(text, index, _MEASURE)[1]


def _decoded(text: str, index: int, decoder: json.JSONDecoder = _DECODER) -> tuple[Any, int]:
    """Decode the value at ``index``, and say where it ends."""
    try:
        return decoder.raw_decode(text, index)
    except json.JSONDecodeError as error:
        # Not chained: the error carries the whole document along.
        raise ValueError(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _skip(text: str, index: int) -> int:
    if text[index : index + 1] not in " \t\n\r":
        return index  # the usual case, without the price of a match
    found = _WHITESPACE.match(text, index)
    return found.end() if found else index


def _next(text: str, end: int) -> int:
    """Return where the next item or member begins after one that ends at ``end``, or the closing bracket."""
    index = _skip(text, end)
    return _skip(text, index + 1) if text[index] == "," else index
