"""JSON text that is read and edited in place.

An offer document is edited as text. Everything that is not meant to change stays as it is, byte for byte: member
order, number spelling, escapes, whitespace and duplicate members. A write replaces the whole document, and the
service may add undocumented members. A document rebuilt from a model would lose them.

A `Node` is a value and its place in the text. Edits are `Splice` objects, which `apply` makes together::

    root = parse(text)
    splices = change_members(root, remove=["eTag"], add=[("id", value_text("webstack"))])
    text = apply(text, splices)
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, NoReturn, TypeVar

MAX_PARTS = 100_000
"""The most members of one object, or items of one array. Each becomes a node."""

Part = TypeVar("Part")

_WHITESPACE = re.compile(r"[ \t\n\r]*")
_KINDS = {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean", "n": "null"}


class Number(str):
    """A number in its spelling. No digit is lost, and there is no limit on digits."""

    __slots__ = ()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name} is no JSON value")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse_constant)

# Used to find the end of a value. The values that it creates take no memory.
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
        """Return the place without the text, which may contain the signature of a SAS."""
        return f"Node({self.kind} at {self.start}:{self.end})"

    @property
    def text(self) -> str:
        """The text of the value."""
        return self.source[self.start : self.end]

    @property
    def kind(self) -> str:
        """``object``, ``array``, ``string``, ``number``, ``boolean`` or ``null``."""
        return _KINDS.get(self.source[self.start], "number")

    @property
    def value(self) -> Any:
        """The decoded value. Numbers are `Number`, and the last of duplicate members counts."""
        return _decoded(self.source, self.start)[0]

    @property
    def string(self) -> str | None:
        """The decoded string, ``None`` for any other value."""
        return str(self.value) if self.kind == "string" else None

    def members(self) -> list["Member"]:
        """Return the members of an object in their order, with duplicates. Any other value has no members.

        Raises:
            ValueError: There are more than `MAX_PARTS`.
        """
        if self._members is None:
            self._members = _bounded(self._read_members()) if self.kind == "object" else []
        return self._members

    def items(self) -> list["Node"]:
        """Return the items of an array. Any other value has no items.

        Raises:
            ValueError: There are more than `MAX_PARTS`.
        """
        if self._items is None:
            self._items = _bounded(self._read_items()) if self.kind == "array" else []
        return self._items

    def get(self, key: str) -> "Node | None":
        """Return the value of a member. The last of duplicate members counts, as for any JSON reader."""
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
    """A replacement for a piece of text. It is an insertion if ``start`` equals ``end``."""

    start: int
    end: int
    replacement: str


def parse(text: str) -> Node:
    """Return the value of a JSON text. A byte order mark and surrounding whitespace are accepted.

    Raises:
        ValueError: The text is not JSON, has ``NaN`` or ``Infinity``, is nested too deeply, or goes on after its
            value. The message says where, and never quotes the text.
    """
    start = _skip(text, 1 if text.startswith("\ufeff") else 0)
    end = _end(text, start)
    if _skip(text, end) != len(text):
        raise ValueError(f"not JSON: something follows the value, at character {_skip(text, end)}")
    return Node(text, start, end)


def string_of(node: Node | None) -> str | None:
    """Return a JSON string's text, ``None`` for any other value and where there is none."""
    return node.string if node is not None else None


def value_text(value: Any) -> str:
    """Return ``value`` as JSON text without unneeded escapes."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def array_text(items: Iterable[str]) -> str:
    """Return an array of JSON texts."""
    return f"[{', '.join(items)}]"


def object_text(members: Mapping[str, str]) -> str:
    """Return an object of JSON texts."""
    return "{" + ", ".join(f"{value_text(key)}: {text}" for key, text in members.items()) + "}"


def set_value(node: Node, replacement: str) -> Splice:
    """Return the edit that replaces a value with a JSON text."""
    return Splice(node.start, node.end, replacement)


def change_members(node: Node, *, remove: Collection[str] = (), add: Sequence[tuple[str, str]] = ()) -> list[Splice]:
    """Return the edits that remove members from an object and add members at its end.

    A removed member takes its comma with it. An added member copies the separator before the last member, which keeps
    an indented document indented. Removing an added member restores the original text.

    Args:
        node: An object.
        remove: The names of members to remove, with all duplicates.
        add: The names and JSON texts of members to add, in this order.

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


def append_items(array: Node, items: Sequence[str]) -> list[Splice]:
    """Return the edit that adds JSON texts at the end of an array. They copy the separator of the last item."""
    if not items:
        return []
    there = array.items()
    if not there:
        return [Splice(array.start, array.end, array_text(items))]
    source = array.source
    comma = "," + source[array.start + 1 : there[0].start]
    if len(there) > 1:
        comma = source[there[-2].end : there[-1].start]
    return [Splice(there[-1].end, there[-1].end, "".join(comma + item for item in items))]


def edited(node: Node, splices: Iterable[Splice]) -> str:
    """Return the text of a value with edits made. Their indexes are those of the whole text."""
    moved = [Splice(one.start - node.start, one.end - node.start, one.replacement) for one in splices]
    return apply(node.text, moved)


def apply(text: str, splices: Iterable[Splice]) -> str:
    """Return ``text`` with all edits made. Their indexes are those of ``text``.

    Raises:
        ValueError: Two edits overlap.
    """
    pieces: list[str] = []
    done = 0
    # Insertions come before a removal at the same place, and keep their order.
    for splice in sorted(splices, key=lambda each: (each.start, each.end)):
        if splice.start < done:
            raise ValueError(f"two edits overlap at character {splice.start}")
        pieces += (text[done : splice.start], splice.replacement)
        done = splice.end
    return "".join([*pieces, text[done:]])


def _addition(node: Node, kept: Member | None, add: Sequence[tuple[str, str]]) -> Splice:
    """Insert members after ``kept``, or at the start of an object that keeps no member."""
    source, members = node.source, node.members()
    colon, comma, index = ": ", ", ", node.start + 1
    if members:
        first = members[0]
        colon = source[members[-1].key_end : members[-1].value.start]
        comma = "," + source[node.start + 1 : first.key_start]
        index = first.key_start if kept is None else kept.value.end
    if len(members) > 1:
        comma = source[members[-2].value.end : members[-1].key_start]
    text = comma.join(f"{value_text(key)}{colon}{value}" for key, value in add)
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
    """Return the decoded value at ``index``, and where it ends."""
    try:
        return decoder.raw_decode(text, index)
    except json.JSONDecodeError as error:
        # Not chained, because the original error contains the whole document.
        raise ValueError(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _skip(text: str, index: int) -> int:
    if text[index : index + 1] not in " \t\n\r":
        return index  # the common case, without a regular expression
    found = _WHITESPACE.match(text, index)
    return found.end() if found else index


def _next(text: str, end: int) -> int:
    """Return the index of the item or member after the one that ends at ``end``, or of the closing bracket."""
    index = _skip(text, end)
    return _skip(text, index + 1) if text[index] == "," else index
