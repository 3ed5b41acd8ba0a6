"""JSON text put together of pieces of other texts, each as it is written there."""

from collections.abc import Iterable, Mapping, Sequence

from marketplace.json_text import Node, Splice, apply, written


def edited(node: Node, splices: Iterable[Splice]) -> str:
    """Return a value's text with edits made; their indexes are those of the whole text that it stands in."""
    moved = [Splice(one.start - node.start, one.end - node.start, one.replacement) for one in splices]
    return apply(node.text, moved)


def append_items(array: Node, items: Sequence[str]) -> list[Splice]:
    """Return the edit that adds items to the end of an array, each set apart as the array's own are."""
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


def array_text(items: Iterable[str]) -> str:
    """Return an array of JSON texts."""
    return f"[{', '.join(items)}]"


def object_text(members: Mapping[str, str]) -> str:
    """Return an object of JSON texts by name."""
    return "{" + ", ".join(f"{written(key)}: {text}" for key, text in members.items()) + "}"
