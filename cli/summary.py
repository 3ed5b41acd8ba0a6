"""Renders the end of a publication as Markdown, for the page of a pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.runs import End
from cli.statuses import MEANINGS, CommandError, Status
from workflows.page import plain

OUTCOMES = {
    "live": "is live",
    "preview": "has its preview",
    "running": "is being published",
    "never_published": "was never published",
}
MOST_IMAGES = 100


def summary(workflow_id: str, end: End) -> str:
    """Return the summary. Text from the marketplace or from people is escaped."""
    rows = [("Workflow", plain(workflow_id))]
    if end.status is not Status.WELL:
        title = f"❌ {plain(workflow_id)} failed"
        if end.status in {Status.CANCELED, Status.PERSON}:
            title = f"🛑 {plain(workflow_id)}: {MEANINGS[end.status]}"
        return f"{_page(title, rows)}\n{plain(end.error or '')}\n"
    result = end.result or {}
    if "outcome" not in result:
        return f"{_page(f'✅ {plain(workflow_id)} has ended well', rows)}\n{plain(end.remark or '')}\n"
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
