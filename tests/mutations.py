"""Hypothesis strategies that make hostile inputs and answers from valid JSON.

`make fuzz` plays a hundred times as many examples as `make test`, and different ones each time.
"""

import copy
import json
import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))

SECRET = "TOPSECRET"
SAS = f"https://images.blob.core.windows.net/vhds/a.vhd?sv=2022&sr=c&sp=rl&sig={SECRET}"
ODD_CHARACTERS = "\x00\x1b[31m\r\n\t\x7f\x85\u202e\u2066\ufeff\u200b<script>alert(1)</script>`|*"


def examples(count: int) -> settings:
    """Return settings for a number of examples, which are the same each time except in `make fuzz`."""
    return settings(max_examples=count * TIMES, derandomize=TIMES == 1)


class Raw(str):
    """JSON text that is written as it is, for what `json.dumps` cannot write."""

    __slots__ = ()


def _deep(depth: int) -> Raw:
    return Raw("[" * depth + "1" + "]" * depth)


JUNK: list[Any] = [
    *(None, True, False, 0, -1, 2**63, -(10**300), 1.5, -0.0, "", " ", "0", [], {}, [[]], [None], {"": None}),
    *(ODD_CHARACTERS, SAS, f"Bearer {SECRET}", "x" * 100_000, "😀" * 5_000, "../..", "a/b", "https://[", "-1", "NaN"),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00", "P99999999999D", "PT-5S"),
    *(["x"] * 3_000, {str(number): number for number in range(2_000)}),
    *(Raw("NaN"), Raw("-Infinity"), Raw("1e999"), Raw("9" * 5_000), Raw('"\\ud800"'), Raw('"\\u0000"'), Raw("")),
    *(_deep(150), _deep(5_000), Raw('{"a":1,"a":2}'), Raw("'x'"), Raw('"\x01"')),
]
_SMALL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, valid: Any) -> bytes:
    """Return a valid JSON value as bytes, with one to three of its parts changed and sometimes the bytes as well."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        value = _changed(draw, value)
    data = written(value).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 7)) == 0:
        data = draw(st.sampled_from(_BYTES))(data)
    return data


_BYTES = [
    lambda data: data[: len(data) // 2],
    lambda data: b"\xef\xbb\xbf" + data,
    lambda data: data.decode("utf-8", "replace").encode("utf-16"),
    lambda data: data[: len(data) // 3] + b"\xff\xc0\x80" + data[len(data) // 3 :],
    lambda data: data + data,
    lambda data: data + b"\x00",
    lambda data: b"\x1f\x8b\x08" + data,
    lambda data: b"[" + data + b"]",
    lambda data: data + b" " * 10_000,
    lambda data: data.swapcase(),
]


def written(value: Any) -> str:
    """Return JSON text, with `Raw` text left as it is."""
    match value:
        case Raw():
            return str(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(str(key))}:{written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """Return the value with one part changed: the value itself, or something in it."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(list(value) if isinstance(value, dict) else list(range(len(value)))))
        match draw(st.integers(0, 9)):
            case 0:
                del value[key]
            case 1 if isinstance(value, dict):
                value[draw(st.sampled_from(["extra", "", ODD_CHARACTERS, SAS, "x" * 50_000, "__proto__"]))] = 1
            case 2 if isinstance(value, dict):
                value[Raw(str(key).upper())] = value.pop(key)
            case 3 if isinstance(value, list):
                value += [copy.deepcopy(value[key])] * draw(st.sampled_from([1, 50, 2_000]))
            case _:
                value[key] = _changed(draw, value[key])
        return value
    return copy.deepcopy(draw(st.sampled_from(JUNK) | _SMALL))  # a copy, because it may be changed again
