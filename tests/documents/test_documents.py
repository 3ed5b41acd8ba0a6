"""Everything that the documents name exists: files, headings, commands, variables and errors."""

import functools
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from cli.arguments import read_arguments
from cli.starting import KINDS
from cli.statuses import STATUS_OF_ERROR, Status
from tests.documents.markdown import DOCUMENTS, ROOT, Document, document, table
from tests.harness.processes import CLEAN
from worker.settings import Settings

ERRORS = document("docs/errors.md")
IDS = [each.name for each in DOCUMENTS]


def test_the_readme_is_short() -> None:
    assert document("README.md").text.count("\n") <= 150


@pytest.mark.parametrize("page", DOCUMENTS, ids=IDS)
def test_every_link_leads_somewhere(page: Document) -> None:
    dead = [link for link in page.links if "://" not in link and not _leads_somewhere(page, link)]
    assert not dead


def _leads_somewhere(page: Document, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.path.parent / path if path else page.path
    return target.exists() and (not anchor or anchor in Document(target).anchors)


def test_every_document_can_be_reached_from_the_readme() -> None:
    found, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop().resolve()
        if page.suffix == ".md" and page not in found:
            found.add(page)
            left += [page.parent / link.partition("#")[0] for link in Document(page).links if "://" not in link]
    assert not {each.path for each in DOCUMENTS if each.path.parent.name != ".github"} - found


@pytest.mark.parametrize("page", DOCUMENTS, ids=IDS)
def test_every_make_command_names_a_target(page: Document) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", page.prose))
    named |= {command.words[1] for command in page.commands() if command.program == "make"}
    assert not named - targets


@pytest.mark.parametrize("page", DOCUMENTS, ids=IDS)
def test_every_module_in_a_python_command_exists(page: Document) -> None:
    as_of_today = re.sub(r"`[^`]*`, as the command was called then", "", page.text)
    named = re.findall(r"python -m ([\w.]+)", as_of_today)
    assert not [name for name in named if importlib.util.find_spec(name) is None]


def test_every_temporal_command_exists_with_its_options() -> None:
    wrong = []
    for page in DOCUMENTS:
        for command in page.commands():
            if command.program == "temporal":
                words = command.words
                options = [word.partition("=")[0] for word in words if word.startswith("-")]
                path = words[: words.index(options[0])] if options else words
                wrong += [
                    f"{page.name}: {command.text}: {option}" for option in options if option not in _known(*path)
                ]
    assert not wrong


@functools.cache
def _known(*path: str) -> set[str]:
    """Return the options of a command and of all commands. Return none if the command does not exist."""
    own, common = _shown(*path, "--help"), _shown("temporal", "options")
    is_command = f"\n  {' '.join(path)} [" in own
    return set(re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", own + common)) if is_command else set()


@functools.cache
def _shown(*words: str) -> str:
    return subprocess.run(words, env=CLEAN, capture_output=True, text=True, check=True, timeout=30).stdout


def test_every_offer_publisher_command_is_valid_and_its_files_exist() -> None:
    commands = [each for page in DOCUMENTS for each in page.commands() if each.program == "offer-publisher"]
    read = [read_arguments(each.program, each.words[1:]) for each in commands]
    assert {each.command for each in read} >= {"publish", "watch", "go-live", "approve", "wait", "check"}
    files = {each.file for each in read if each.command in KINDS} - {"-"}
    assert all((ROOT / file).exists() for file in files)


def test_every_setting_of_the_worker_is_described_once() -> None:
    rows = table(document("docs/settings.md").text, "variable")
    named = [name for row in rows for name in re.findall(r"`([A-Z_]+)`", row[0])]
    assert len(named) == len(set(named))
    settings = {name.upper() for name in Settings.model_fields}
    assert settings <= set(named)
    ours = ("MARKETPLACE_", "NOTIFY_", "GO_LIVE_", "PAYLOAD_", "LOG_", "METRICS_")
    assert {name for name in named if name.startswith(ours)} <= settings


def test_the_exit_status_of_every_error_is_documented() -> None:
    rows = table(ERRORS.text, "exit status")
    said = {error: int(row[0]) for row in rows for error in re.findall(r"`([A-Z]\w+)`", row[2])}
    assert said == {error: status.value for error, status in STATUS_OF_ERROR.items()}
    assert [int(row[0]) for row in rows] == [status.value for status in Status]


def test_every_documented_error_has_an_exit_status() -> None:
    explained = [error for row in table(ERRORS.text, "error type") for error in re.findall(r"`(\w+)`", row[0])]
    assert len(explained) == len(set(explained))
    assert set(explained) == set(STATUS_OF_ERROR)
