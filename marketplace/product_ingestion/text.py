"""JSON text put together of pieces of other texts, each as it is written there."""

from collections.abc import Iterable, Sequence

from marketplace.json_text import Node, Splice, apply, array_text


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
