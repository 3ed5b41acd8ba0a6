"""Text of the service for a person: one clean line, bounded, without secrets.

Pure functions over text or JSON from elsewhere. They accept any input.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from urllib.parse import quote_plus

from marketplace.sas import redacted

MAX_READ = 20_000
"""How many characters of a message are read. A person reads a few hundred."""

MAX_SENTENCES = 20
MAX_LISTED = 20
MAX_NAME = 80
"""The length of a name within a sentence, in characters."""

MAX_DEPTH = 8

SHORTEST_HIDDEN = 8
"""The length of the shortest secret that `hide` replaces. Anything shorter may be a word of the text."""

_INLINE = frozenset(
    {"a", "abbr", "b", "code", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "tt", "u"}
)
"""Tags that may stand inside a word. Any other tag becomes a space."""

# The standard library's HTML parser takes seconds for 20,000 characters of unclosed tags. This takes one pass.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*+>|\Z)"
    r"|</?(?P<tag>[a-z][a-z0-9:-]*+)[^<>]*+>|<[!?][^<>]*+>",
    re.IGNORECASE | re.DOTALL,
)
_BEARER = re.compile(r"\b(bearer\s+)[^\s\"',;<>]+", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{5,}(\.[\w-]*){0,4}")

_MESSAGE = ("message", "messagehtml", "value", "error_description", "errormessage", "detail", "description")
_NESTED = ("error", "odata.error", "errors", "details", "innererror", "messages", "modelstate")


def hide(text: str, *secrets: str) -> str:
    """Return the text without the given secrets, which may be URL-encoded in it. See `SHORTEST_HIDDEN`."""
    for secret in secrets:
        if len(secret) >= SHORTEST_HIDDEN:
            text = text.replace(secret, "REDACTED").replace(quote_plus(secret), "REDACTED")
    return text


def one_line(text: str, limit: int) -> str:
    """Return ``text`` as one line of at most ``limit`` printable characters, with secrets replaced.

    Control characters, marks of the writing direction and lone surrogates are dropped. No JSON payload can carry a
    lone surrogate. A line that was cut off ends with an ellipsis.
    """
    text = text[:MAX_READ]
    if not text.isprintable():
        text = "".join(_printable(character) for character in text)
    text = _JWT.sub("…", _BEARER.sub(r"\1…", redacted(text)))
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def plain_text(html: str, limit: int) -> str:
    """Return HTML as one line, without tags, scripts and styles; see `one_line`.

    Messages of the service may be HTML, and the error pages of proxies are.
    """
    return one_line(unescape(_MARKUP.sub(_gap, html[:MAX_READ])), limit)


def listed(names: Sequence[str]) -> str:
    """Return the first 20 names for a sentence, each as one bounded line, and the number of further names."""
    more = [f"{len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return ", ".join([*(one_line(name, MAX_NAME) for name in names[:MAX_LISTED]), *more])


def bounded(sentences: Iterable[str]) -> list[str]:
    """Return the first 20 distinct sentences, and one with the number of further sentences."""
    found = list(dict.fromkeys(sentences))
    more = [f"… and {len(found) - MAX_LISTED} more."] if len(found) > MAX_LISTED else []
    return [*found[:MAX_LISTED], *more]


def error_sentences(body: object) -> list[str]:
    """Return the sentences of a JSON error body, outermost first, each as ``"<code>: <message>"``.

    The documented body is ``{"error": {"code", "message"}}``, but it may be missing or different. Other Azure
    services answer with ``{"message"}``, ``{"Message"}``, ``{"errors": [...]}``, lists, bare strings, and OData's
    ``{"odata.error": {"message": {"value"}}}``. All of these are read.
    """
    found: dict[str, None] = {}
    for sentence in _sentences(body, 0):
        line = plain_text(sentence, MAX_READ)
        if line:
            found[line] = None
        if len(found) == MAX_SENTENCES:
            break
    return list(found)


def encodable(text: str) -> str:
    """Replace lone surrogates with question marks. JSON can escape them, but UTF-8 cannot encode them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def lower_keys(value: object) -> dict[str, object]:
    """Return the members of a JSON object under lower-case names, and no members for any other value.

    Documents and answers write the name of one member in several letter cases.
    """
    return {str(name).lower(): member for name, member in value.items()} if isinstance(value, Mapping) else {}


def _gap(markup: re.Match[str]) -> str:
    return "" if (markup["tag"] or "").lower() in _INLINE else " "


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() or character <= "\x9f" else ""


def _sentences(body: object, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH or body is None:
        return
    if isinstance(body, str):
        yield body
    elif isinstance(body, list):
        for item in body[:MAX_SENTENCES]:
            yield from _sentences(item, depth + 1)
    elif isinstance(body, Mapping):
        yield from _object_sentences(lower_keys(body), depth)
    else:
        yield json.dumps(body)


def _object_sentences(members: dict[str, object], depth: int) -> Iterator[str]:
    found = next((members[name] for name in _MESSAGE if members.get(name)), None)
    message = found if isinstance(found, str) else "; ".join(_sentences(found, depth + 1))
    subject = [
        str(members[name])
        for name in ("code", "errorcode", "target")
        if isinstance(members.get(name), str | int) and members[name] != ""
    ]
    known = [members[name] for name in _NESTED if members.get(name)]
    if message or subject:
        yield ": ".join([*subject, *([message] if message else [])])
    for nested in known:
        yield from _sentences(nested, depth + 1)
    if not (message or subject or known):
        # The names of the members are the subjects of the messages: {"plans[0].skuTitle": ["is required"]}.
        for name, nested in list(members.items())[:MAX_SENTENCES]:
            for sentence in _sentences(nested, depth + 1):
                yield f"{name}: {sentence}"
