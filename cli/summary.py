"""Renders the end of a publication as Markdown, for the page of a pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.rows import LAST_NOTES, what_next
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
"""What stopped a run that did not fail, by how its error begins."""

MOST_IMAGES = 100


def summary(workflow_id: str, ending: Ending) -> str:
    """Return the summary. Text from the marketplace or from people is escaped."""
    rows = [("Workflow", plain(workflow_id))]
    if ending.status is not Status.OK:
        return _of_a_bad_end(workflow_id, ending)
    result = ending.result or {}
    if "outcome" not in result:
        return f"{_page(f'✅ {plain(workflow_id)} has ended well', rows)}\n{plain(ending.explanation or '')}\n"
    offer = plain(f"{result.get('publisher_id')}/{result.get('offer_id')}")
    outcome = str(result["outcome"])
    for name, member in (("Images", "images"), ("Removed", "removed"), ("Deprecated", "deprecated")):
        if versions := _versions(result.get(member) or []):
            rows.append((name, versions))
    if result.get("approved_by"):
        rows.append(("Approved by", plain(str(result["approved_by"]))))
    if result.get("operation_id"):
        rows.append(("Operation", plain(str(result["operation_id"]))))
    if not result.get("changed"):
        rows.append(("Changed", "nothing: everything was as requested already"))
    return _page(f"✅ {offer} {OUTCOMES.get(outcome, plain(outcome))}", rows)


def _of_a_bad_end(workflow_id: str, ending: Ending) -> str:
    rows = [("Workflow", plain(workflow_id))]
    title = f"❌ {plain(workflow_id)} failed"
    said = [ending.error or ""]
    if stopped := next((words for start, words in STOPPED.items() if said[0].startswith(start)), None):
        title = f"🛑 {plain(workflow_id)} {stopped}"
    if ending.progress is not None:
        about = ending.progress
        if about.publisher_id and about.offer_id:
            rows.append(("Offer", plain(f"{about.publisher_id}/{about.offer_id}")))
        if about.images:
            rows.append(("Images", _versions([image.model_dump(mode="json") for image in about.images])))
        if about.approval and about.approval.decision and about.approval.decision.approve:
            rows.append(("Approved by", plain(about.approval.decision.approver or "somebody")))
        said += [*about.notes[-LAST_NOTES:], *what_next(about)]
    text = "\n\n".join(map(plain, said))
    return f"{_page(title, rows)}\n{text}\n"


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


def _page(title: str, rows: Sequence[tuple[str, str]]) -> str:
    table = "".join(f"| {name} | {text} |\n" for name, text in rows)
    return f"### {title}\n\n| | |\n|---|---|\n{table}"


def _versions(images: Sequence[dict[str, Any]]) -> str:
    shown = ", ".join(plain(_version(image)) for image in images[:MOST_IMAGES])
    more = len(images) - MOST_IMAGES
    return f"{shown} and {more} more" if more > 0 else shown


def _version(image: dict[str, Any]) -> str:
    generation = f" ({image['generation']})" if image.get("generation") else ""
    return f"{image.get('plan_id')} {image.get('version')}{generation}"
