"""The documents: their sections, links and commands."""

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAMS = ("temporal", "offer-publisher")
"""The programs that the tests can run. Both talk to a Temporal server and to nothing else."""

_HEADING_OR_BLOCK = re.compile(r"^#+ ([^\n]*)$|^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A shell command as written, with the heading of its section."""

    section: str
    text: str

    @property
    def words(self) -> Sequence[str]:
        """The program that it runs, with its arguments. For a pipe, this is the last program."""
        read = shlex.shlex(self.text, posix=True, punctuation_chars="|")
        read.whitespace_split, read.commenters = True, ""
        words = list(read)
        while "|" in words:
            words = words[words.index("|") + 1 :]
        return list(itertools.dropwhile(lambda word: "=" in word, words))

    @property
    def program(self) -> str:
        """The program that it runs."""
        return next(iter(self.words), "")


@dataclass(frozen=True)
class Document:
    """A Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path in the project."""
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        """Its text."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """Its text outside code blocks."""
        return re.sub(r"^ *```.*?^ *```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @property
    def anchors(self) -> Sequence[str]:
        """The anchors that GitHub gives to its headings."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]

    @property
    def links(self) -> Sequence[str]:
        """The targets of its links and pictures."""
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    def commands(self) -> Iterator[Command]:
        """Yield the commands in shell blocks, without comments. A backslash at the end of a line continues it."""
        section = ""
        for heading, language, block in _HEADING_OR_BLOCK.findall(self.text):
            section = heading or section
            lines = block.replace("\\\n", " ").splitlines() if language in {"console", "shell"} else []
            for line in lines:
                text = re.sub(r"(^|\s+)#\s.*$", "", line).strip()
                if text:
                    yield Command(section, re.sub(r"\s{2,}", " ", text))

    def runnable(self) -> Sequence[Command]:
        """Return the commands that the tests can run."""
        return [command for command in self.commands() if command.program in PROGRAMS]


def table(text: str, head: str) -> Sequence[Sequence[str]]:
    """Return the rows of the table whose first column has this head."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found is not None, f"there is no table whose first column is {head}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


def document(name: str) -> Document:
    """Return a document of the project."""
    return Document(ROOT / name)


DOCUMENTS = [
    Document(path)
    for folder in ("", "docs", "docs/decisions", ".github")
    for path in sorted((ROOT / folder).glob("*.md"))
]
