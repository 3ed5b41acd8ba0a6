"""JSON text is read and edited, and everything else in it stays as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.json_text import Node, Splice, apply, change_members, parse, set_value, value_text

spaces = st.text(" \t\n\r", max_size=3)
numbers = st.sampled_from(["0", "-0", "1.10", "1e2", "1E+400", "638351234567890123", "0.1e-7", "9" * 5000, "-12.50"])
strings = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.text(st.characters(codec="utf-8"), max_size=8).map(json.dumps),
    st.sampled_from([r'"\u00e9"', r'"a\/b"', r'"\ud83d"', '"https://x/?a=1&sig=2"', '""']),
)
keys = st.one_of(strings, st.sampled_from(['"planId"', '"a.b"', '"a"', '"a"']))


@st.composite
def listing(draw: st.DrawFn, brackets: str, parts: list[str]) -> str:
    if not parts:
        return brackets[0] + draw(spaces) + brackets[1]
    padded = [draw(spaces) + part + draw(spaces) for part in parts]
    return brackets[0] + ",".join(padded) + brackets[1]


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    names = draw(st.lists(keys, max_size=4))
    return draw(listing("{}", [name + draw(spaces) + ":" + draw(spaces) + draw(values) for name in names]))


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    return draw(listing("[]", draw(st.lists(values, max_size=4))))


values = st.recursive(
    st.one_of(numbers, strings, st.sampled_from(["true", "false", "null"])),
    lambda inner: st.one_of(objects(inner), arrays(inner)),
    max_leaves=12,
)


def rebuilt(node: Node) -> str:
    """Rebuild a value from its parts and the text between them."""
    parts = [*node.items(), *(member.value for member in node.members())]
    return apply(node.source, [set_value(part, rebuilt(part)) for part in parts])[node.start : node.end or None]


@given(objects(values), spaces, st.sampled_from(["", "\ufeff"]))
def test_every_value_is_found_at_its_place(text: str, space: str, mark: str) -> None:
    root = parse(mark + space + text + space)
    assert root.text == text
    assert rebuilt(root) == text
    assert [member.key for member in root.members()] == [key for key, _ in pairs(text)]
    assert {member.key: member.value.text for member in root.members()}.keys() == dict(pairs(text)).keys()


def pairs(text: str) -> list[tuple[str, object]]:
    found: list[list[tuple[str, object]]] = []

    def remember(members: list[tuple[str, object]]) -> None:
        found.append(members)

    json.loads(text, object_pairs_hook=remember, parse_int=str, parse_float=str)
    return found[-1]


@given(objects(values))
def test_removing_added_members_restores_the_text(text: str) -> None:
    added = apply(text, change_members(parse(text), add=[("new one", "{}"), ("new two", "[1.10]")]))
    json.loads(added, parse_int=str)
    assert [key for key, _ in pairs(added)] == [*(key for key, _ in pairs(text)), "new one", "new two"]
    assert apply(added, change_members(parse(added), remove=["new one", "new two"])) == text


@given(objects(values), st.data())
def test_removing_members_keeps_the_text_of_the_others(text: str, data: st.DataObject) -> None:
    root = parse(text)
    names = [member.key for member in root.members()]
    gone = data.draw(st.sets(st.sampled_from(names))) if names else set()
    new = data.draw(st.sampled_from([[], [("new", "1")]]))
    edited = parse(apply(text, change_members(root, remove=gone, add=new)))
    kept = [(member.key, member.value.text) for member in root.members() if member.key not in gone]
    assert [(member.key, member.value.text) for member in edited.members()] == kept + new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{"b": 2}'),
        ("{ }", '{"b": 2 }'),
        ('{"a":1}', '{"a":1,"b":2}'),
        ('{ "a" : 1 }', '{ "a" : 1, "b" : 2 }'),
        ('{\n  "a": 1\n}', '{\n  "a": 1,\n  "b": 2\n}'),
        ('{"x": 0, "a": 1}', '{"x": 0, "a": 1, "b": 2}'),
    ],
)
def test_an_added_member_is_laid_out_like_the_one_before_it(before: str, after: str) -> None:
    assert apply(before, change_members(parse(before), add=[("b", "2")])) == after


def test_the_last_of_duplicate_members_counts_and_all_are_removed() -> None:
    text = '{"a": 1, "b": 2, "a": 3}'
    found = parse(text).get("a")
    assert found is not None
    assert found.text == "3"
    assert apply(text, change_members(parse(text), remove=["a"])) == '{"b": 2}'


def test_the_exact_text_of_a_member_can_be_removed() -> None:
    offer = parse('{"if_exists": "fail", "offer": {"n": 1.10, "u": "a\\/b&c"} }').get("offer")
    assert offer is not None
    assert offer.text == '{"n": 1.10, "u": "a\\/b&c"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        '{"a":}',
        "[1,]",
        "{} x",
        "NaN",
        '{"a": [Infinity]}',
        "-Infinity",
        "'a'",
        '"\n"',
        "\ufeff",
    ],
)
def test_text_that_is_not_json_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        parse(text)


def test_a_refusal_does_not_contain_the_document() -> None:
    with pytest.raises(ValueError, match="not JSON") as caught:
        parse('{"url": "https://x/?sig=secret" oops}')
    assert "secret" not in str(caught.value)
    assert not isinstance(caught.value, json.JSONDecodeError)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_text_that_is_nested_too_deeply_is_refused(bracket: str) -> None:
    with pytest.raises(ValueError, match="too deeply"):
        parse(bracket * 100_000)


def test_overlapping_edits_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        apply("abcdef", [Splice(0, 3, ""), Splice(2, 4, "")])


def test_members_of_an_array_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="in an object only"):
        change_members(parse("[]"), add=[("a", "1")])


def test_only_objects_have_members_and_only_arrays_have_items() -> None:
    node = parse('"{}"')
    assert (node.kind, node.members(), node.items(), node.get("a"), node.string) == (
        "string",
        [],
        [],
        None,
        "{}",
    )
    assert parse("12").string is None
    assert repr(node) == "Node(string at 0:4)"


def test_new_values_are_written_without_unneeded_escapes() -> None:
    assert value_text("é & /") == '"é & /"'
