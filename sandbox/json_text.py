"""JSON that keeps the spelling of every number, string and member name.

A publisher's tool must give back what it did not mean to change. It can only be caught at spoiling
`1.10`, `1e2` or an 18-digit integer when the sandbox itself spoils nothing, unlike the `json` module.
"""

import json
import re
from typing import Any, NoReturn, Self, TypeAlias, cast

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | Spelled | str | int | float | bool | None"

_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,\]\}]+')
_SPACE = re.compile(r"[ \t\r\n]*")


class Spelled(str):
    """A number, string, boolean or null as its JSON text."""

    __slots__ = ()

    @property
    def value(self) -> object:
        """What the text means."""
        return json.loads(self)


class Name(str):
    """A member's name which remembers how it was spelled."""

    __slots__ = ("spelling",)

    spelling: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Decode the quoted `text`."""
        name = cls(json.loads(text))
        name.spelling = text
        return name


def _refuse_constant(word: str) -> NoReturn:
    message = f"{word} is not JSON"
    raise ValueError(message)


def members_of(value: object) -> dict[str, Any]:
    """The value when it is an object, else nothing; documents in a draft may have any shape."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_in(value: object) -> list[dict[str, Any]]:
    """The objects of an array."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def parse_plain(text: str) -> object:
    """Read `text` as ordinary Python values; refuses `NaN` and `Infinity`."""
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
        message = f"no JSON value at character {position}"
        raise ValueError(message)
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
    """Write `tree` without white space; what was parsed keeps its spelling."""
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
