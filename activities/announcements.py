"""Renders notifications as JSON, as Slack messages, or as Adaptive Cards for Teams.

Text from people or from the marketplace is escaped: it cannot become a link, a mention or markup.
"""

import json
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from activities.notifications import Notification
from marketplace.model import ImageVersion
from marketplace.wording import listed, one_line

MAX_TEXT = 2500
"""Characters: Slack takes 3000 in a section."""

MAX_PART = 800

TITLES = {
    "awaiting_approval": "Waiting for approval",
    "failed": "Failed",
    "live": "Live",
}


class Format(StrEnum):
    """The formats of notifications: the values of ``NOTIFY_FORMAT``."""

    JSON = "json"
    SLACK = "slack"
    TEAMS = "teams"


class Announcer:
    """Renders notifications in one format."""

    def __init__(self, form: Format = Format.JSON, ui_url: str | None = None) -> None:
        """Create an announcer.

        Args:
            form: The format.
            ui_url: The address of the Temporal UI, for links to runs.
        """
        self._write = {Format.JSON: _as_json, Format.SLACK: _for_slack, Format.TEAMS: _for_teams}[form]
        self._ui_url = ui_url.rstrip("/") if ui_url is not None else None

    def write(self, notification: Notification, namespace: str) -> str:
        """Return the body of the POST."""
        link = None
        if self._ui_url is not None:
            # Without a run ID, the UI shows the newest run, even if this one has continued as new.
            workflow = quote(notification.workflow_id, safe="")
            link = f"{self._ui_url}/namespaces/{quote(namespace, safe='')}/workflows/{workflow}"
        return json.dumps(self._write(notification, link), ensure_ascii=False)


def _as_json(notification: Notification, link: str | None) -> dict[str, Any]:
    return {**notification.model_dump(mode="json"), "link": link}


def _parts(notification: Notification) -> Iterator[tuple[str, str]]:
    """Yield the details beside the text, as names and values."""
    if notification.publisher_id and notification.offer_id:
        yield "Offer", f"{notification.publisher_id}/{notification.offer_id}"
    if not (notification.adds or notification.event == "awaiting_approval"):
        yield from _images("Images", notification.images)
    went = notification.event == "live"
    yield from _images("Added" if went else "Adds", notification.adds)
    yield from _images("Removed" if went else "Removes", notification.removes)
    yield from _images("Deprecated" if went else "Deprecates", notification.deprecates)
    if notification.changes:
        yield ("Changed" if went else "Changes"), listed(notification.changes)
    if notification.event == "awaiting_approval":
        yield "May approve", listed(notification.approvers) or "anyone"
        if notification.until is not None:
            yield "Until", f"{notification.until:%Y-%m-%d %H:%M} UTC"
    if notification.approved_by is not None:
        yield "Approved by", notification.approved_by
    yield "Workflow", notification.workflow_id


def _images(name: str, images: Sequence[ImageVersion]) -> Iterator[tuple[str, str]]:
    if images:
        yield name, listed([str(image) for image in images])


def _title(notification: Notification) -> str:
    title = TITLES.get(notification.event, notification.event)
    return f"{title}: reminder {notification.reminder}" if notification.reminder else title


def _for_slack(notification: Notification, link: str | None) -> dict[str, Any]:
    title, text = _title(notification), _slack(notification.text, MAX_TEXT)
    lines = [f"*{name}:* {_slack(value, MAX_PART)}" for name, value in _parts(notification)]
    if link is not None:
        lines.append(f"<{link}|Open in Temporal>")
    sections = [f"*{title}*\n{text}", *_sections(lines)]
    if notification.command is not None:
        command = _slack(notification.command, MAX_TEXT).replace("```", "'''")
        sections.append(f"To approve:\n```{command}```")
    return {
        "text": f"{title}: {text}",  # what a phone shows
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": section}} for section in sections],
    }


def _sections(lines: Sequence[str]) -> Iterator[str]:
    """Join lines into sections, each as long as Slack accepts."""
    section = ""
    for line in lines:
        if section and len(section) + len(line) > MAX_TEXT:
            yield section
            section = ""
        section += f"\n{line}" if section else line
    yield section


def _slack(text: str, length: int) -> str:
    """Escape text for Slack: no links, no mentions."""
    text = one_line(text, length).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text if len(text) <= MAX_TEXT else re.sub(r"&[a-z]*$", "", text[: MAX_TEXT - 1]) + "…"


def _for_teams(notification: Notification, link: str | None) -> dict[str, Any]:
    color = {"failed": "Attention", "live": "Good"}.get(notification.event, "Accent")
    body = [
        _rich({"text": _title(notification), "weight": "Bolder", "size": "Large", "color": color}),
        _rich({"text": one_line(notification.text, MAX_TEXT)}),
        *(
            _rich({"text": f"{name}: ", "weight": "Bolder"}, {"text": one_line(value, MAX_PART)})
            for name, value in _parts(notification)
        ),
    ]
    if notification.command is not None:
        command = one_line(notification.command, MAX_TEXT)
        body += [
            _rich({"text": "To approve:", "weight": "Bolder"}),
            _rich({"text": command, "fontType": "Monospace"}),
        ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Temporal", "url": link}]
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _rich(*runs: dict[str, str]) -> dict[str, Any]:
    """Return a paragraph of plain text. A ``TextBlock`` would be read as Markdown."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}
