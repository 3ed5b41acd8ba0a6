"""What the service says, made fit for a person: one clean line, bounded, without secrets.

Everything here is a pure function over text or JSON that somebody else wrote, so none of them raises.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape

from marketplace.sas import redacted

MAX_READ = 20_000
"""Characters of a message that are looked at: a person reads a few hundred."""

MAX_SAYINGS = 20
MAX_LISTED = 20
MAX_NAME = 80
MAX_DEPTH = 8

_INLINE = frozenset(
    {"a", "abbr", "b", "code", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "tt", "u"}
)
"""Tags that do not part a word; any other becomes a space."""

# The library's HTML parser takes seconds for 20,000 characters of unclosed tags; this takes one pass.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*+>|\Z)"
    r"|</?(?P<tag>[a-z][a-z0-9:-]*+)[^<>]*+>|<[!?][^<>]*+>",
    re.IGNORECASE | re.DOTALL,
)
_BEARER = re.compile(r"\b(bearer\s+)[^\s\"',;<>]+", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{5,}(\.[\w-]*){0,4}")

_MESSAGE = ("message", "messagehtml", "value", "error_description", "errormessage", "detail", "description")
_NESTED = ("error", "odata.error", "errors", "details", "innererror", "messages", "modelstate")


def one_line(text: str, limit: int) -> str:
    """Return ``text`` as one line of at most ``limit`` printable characters, its secrets replaced.

    Control characters, marks that turn the writing direction and lone surrogates (which no JSON payload can
    carry) are dropped; a line that was cut ends with an ellipsis.
    """
    text = text[:MAX_READ]
    if not text.isprintable():
        text = "".join(_printable(character) for character in text)
    text = _JWT.sub("…", _BEARER.sub(r"\1…", redacted(text)))
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def plain_text(html: str, limit: int) -> str:
    """Return `one_line` of HTML: tags, scripts and styles dropped, entities decoded.

    The service's messages may be HTML, and the error pages of the proxies before it are.
    """
    return one_line(unescape(_MARKUP.sub(_gap, html[:MAX_READ])), limit)


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence: each one bounded line, the first 20, and how many there are more."""
    more = [f"{len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return ", ".join([*(one_line(name, MAX_NAME) for name in names[:MAX_LISTED]), *more])


def bounded(sentences: Iterable[str]) -> list[str]:
    """Return the first 20 different sentences, and one that says how many there are more."""
    found = list(dict.fromkeys(sentences))
    more = [f"… and {len(found) - MAX_LISTED} more."] if len(found) > MAX_LISTED else []
    return [*found[:MAX_LISTED], *more]


def sayings(body: object) -> list[str]:
    """Return the sentences of a JSON error body, outermost first, each as ``"<code>: <message>"``.

    Documented is ``{"error": {"code", "message"}}``, and that a body may be missing or be anything else.
    Other Azure services answer with ``{"message"}``, ``{"Message"}``, ``{"errors": [...]}``, OData's
    ``{"odata.error": {"message": {"value"}}}``, lists and bare strings: all of these are read.
    """
    said: dict[str, None] = {}
    for saying in _said(body, 0):
        line = plain_text(saying, MAX_READ)
        if line:
            said[line] = None
        if len(said) == MAX_SAYINGS:
            break
    return list(said)


def encodable(text: str) -> str:
    """Return text with halves of characters, which JSON can escape and nothing else can write, as question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def lowered(value: object) -> dict[str, object]:
    """Return the members of a JSON object under lower-case names; of anything else, none.

    Documents and answers write the same member's name in several letter cases.
    """
    return {str(name).lower(): member for name, member in value.items()} if isinstance(value, Mapping) else {}


def _gap(markup: re.Match[str]) -> str:
    return "" if (markup["tag"] or "").lower() in _INLINE else " "


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() or character <= "\x9f" else ""


def _said(body: object, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH or body is None:
        return
    if isinstance(body, str):
        yield body
    elif isinstance(body, list):
        for item in body[:MAX_SAYINGS]:
            yield from _said(item, depth + 1)
    elif isinstance(body, Mapping):
        yield from _said_by_object(lowered(body), depth)
    else:
        yield json.dumps(body)


def _said_by_object(members: dict[str, object], depth: int) -> Iterator[str]:
    found = next((members[name] for name in _MESSAGE if members.get(name)), None)
    message = found if isinstance(found, str) else "; ".join(_said(found, depth + 1))
    subject = [
        str(members[name])
        for name in ("code", "errorcode", "target")
        if isinstance(members.get(name), str | int) and members[name] != ""
    ]
    known = [members[name] for name in _NESTED if members.get(name)]
    if message or subject:
        yield ": ".join([*subject, *([message] if message else [])])
    for nested in known:
        yield from _said(nested, depth + 1)
    if not (message or subject or known):
        # The members are what the messages are about: {"plans[0].skuTitle": ["is required"]}.
        for name, nested in list(members.items())[:MAX_SAYINGS]:
            for saying in _said(nested, depth + 1):
                yield f"{name}: {saying}"
