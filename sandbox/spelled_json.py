"""JSON that keeps the spelling of every number, string and member name.

A client has to send back unchanged what it does not mean to change. The tests notice a client that spoils `1.10`,
`1e2` or an 18-digit integer only because the sandbox spoils none of them, as the `json` module would.
"""

import json
import re
from typing import Any, NoReturn, Self, TypeAlias, cast

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | Spelled | str | int | float | bool | None"

_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,\]\}]+')
_SPACE = re.compile(r"[ \t\r\n]*")


class Spelled(str):
    """The JSON text of a number, string, boolean or null."""

    __slots__ = ()

    @property
    def value(self) -> object:
        """The value that the text stands for."""
        return json.loads(self)


class Name(str):
    """A member's name that keeps its JSON text."""

    __slots__ = ("spelling",)

    spelling: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Decode a name from its JSON text."""
        name = cls(json.loads(text))
        name.spelling = text
        return name


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def members_of(value: object) -> dict[str, Any]:
    """Return the value if it is an object, else an empty one. Documents in a draft may have any shape."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_in(value: object) -> list[dict[str, Any]]:
    """Return the objects in an array; none if it is no array."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def parse_plain(text: str) -> object:
    """Read JSON into ordinary Python values.

    Raises:
        ValueError: The text is no JSON. `NaN` and `Infinity` are not.
    """
    return json.loads(text, parse_constant=_refuse_constant)


def parse(text: str) -> Tree:
    """Read valid JSON `text` into dictionaries, lists and `Spelled` scalars."""
    tree, _ = _parse_at(text, _skip_space(text, 0))
    return tree


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _parse_at(text: str, position: int) -> tuple[Tree, int]:
    if text[position] == "{":
        return _parse_object(text, position)
    if text[position] == "[":
        return _parse_array(text, position)
    token = _token_at(text, position)
    return Spelled(token), position + len(token)


def _token_at(text: str, position: int) -> str:
    match = _SCALAR.match(text, position)
    if match is None:
        raise ValueError(f"no JSON value at character {position}")
    return match.group()


def _parse_object(text: str, position: int) -> tuple[Tree, int]:
    members: dict[str, Tree] = {}
    position = _skip_space(text, position + 1)
    while text[position] != "}":
        name_text = _token_at(text, position)
        colon = _skip_space(text, position + len(name_text))
        value, position = _parse_at(text, _skip_space(text, colon + 1))
        members[Name.from_text(name_text)] = value
        position = _skip_space(text, position)
        if text[position] == ",":
            position = _skip_space(text, position + 1)
    return members, position + 1


def _parse_array(text: str, position: int) -> tuple[Tree, int]:
    items: list[Tree] = []
    position = _skip_space(text, position + 1)
    while text[position] != "]":
        value, position = _parse_at(text, position)
        items.append(value)
        position = _skip_space(text, position)
        if text[position] == ",":
            position = _skip_space(text, position + 1)
    return items, position + 1


def render(tree: Tree) -> str:
    """Write JSON without white space. What was parsed keeps its spelling."""
    if isinstance(tree, Spelled):
        return str(tree)
    if isinstance(tree, dict):
        members = (f"{_render_name(name)}:{render(value)}" for name, value in tree.items())
        return "{" + ",".join(members) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(render(item) for item in tree) + "]"
    return json.dumps(tree, ensure_ascii=False)


def _render_name(name: str) -> str:
    return name.spelling if isinstance(name, Name) else json.dumps(name, ensure_ascii=False)
