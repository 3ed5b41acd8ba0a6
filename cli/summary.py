"""Describes how a publication ended in Markdown, for the page of a pipeline."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cli.details import details_of, first_of
from cli.runs import WAS_CANCELED, WAS_TERMINATED, Ending
from cli.statuses import CommandError, Status
from workflows.page import plain

OUTCOMES = {
    "live": "is live",
    "preview": "has its preview",
    "running": "is being published",
    "never_published": "was never published",
}
STOPPED = {
    "GoLiveRejected": "was rejected",
    "ApprovalTimedOut": "was not decided on in time",
    WAS_CANCELED: "was cancelled",
    WAS_TERMINATED: "was terminated",
}
"""What became of a run that was stopped, by how its error begins."""

MOST_VALUES = 100


def summary(workflow_id: str, ending: Ending, program: str) -> str:
    """Return the summary. Text from the marketplace or from people is escaped."""
    workflow = ("Workflow", plain(workflow_id))
    if ending.status is not Status.OK:
        error, details = ending.error or "", details_of(ending.progress, program)
        facts = [(fact.label, _values(fact.values)) for fact in details.facts]
        title = _title(workflow_id, error, may_go_live=details.may_go_live)
        return _page(title, [workflow, *facts], [error, *details.notes, *details.next_steps])
    result = ending.result or {}
    if "outcome" not in result:
        return _page(f"✅ {plain(workflow_id)} has ended well", [workflow], [ending.explanation or ""])
    offer = plain(f"{result.get('publisher_id')}/{result.get('offer_id')}")
    outcome = str(result["outcome"])
    return _page(f"✅ {offer} {OUTCOMES.get(outcome, plain(outcome))}", [workflow, *_rows(result)])


def _title(workflow_id: str, error: str, *, may_go_live: bool) -> str:
    stopped = next((words for start, words in STOPPED.items() if error.startswith(start)), None)
    title = f"🛑 {plain(workflow_id)} {stopped}" if stopped else f"❌ {plain(workflow_id)} failed"
    return f"{title}; the offer may still go live" if may_go_live else title


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, member in (("Images", "images"), ("Removed", "removed"), ("Deprecated", "deprecated")):
        if images := result.get(member):
            yield name, _values([_version(image) for image in images])
    if result.get("approved_by"):
        yield "Approved by", plain(str(result["approved_by"]))
    if result.get("operation_id"):
        yield "Operation", plain(str(result["operation_id"]))
    if not result.get("changed"):
        yield "Changed", "nothing: everything was as requested already"


def append(file: Path, text: str) -> None:
    """Append to a file. Create it if need be.

    Raises:
        CommandError: It cannot be written.
    """
    try:
        with file.open("a", encoding="utf-8") as page:
            page.write(text)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.", Status.USAGE) from None


def _page(title: str, rows: Sequence[tuple[str, str]], paragraphs: Sequence[str] = ()) -> str:
    table = "".join(f"| {name} | {text} |\n" for name, text in rows)
    text = "".join(f"\n{plain(paragraph)}\n" for paragraph in paragraphs)
    return f"### {title}\n\n| | |\n|---|---|\n{table}{text}"


def _values(values: Sequence[str]) -> str:
    return first_of(values, MOST_VALUES, plain)


def _version(image: dict[str, Any]) -> str:
    generation = f" (generation {image['generation']})" if image.get("generation") else ""
    return f"{image.get('plan_id')} {image.get('version')}{generation}"
