"""The body of a notification in each format: complete, with a link to the run, and with quoted text as plain text."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.announcements import Announcer, Format
from activities.notifications import Notification
from marketplace.model import ImageVersion

UI = "https://temporal.example/ui/"
LINK = "https://temporal.example/ui/namespaces/release/workflows/go-live%2Ffabrikam%2Fweb%20stack"
COMMAND = "temporal workflow update execute --workflow-id go-live/fabrikam/x --name decide_go_live --input '{}'"
AWAITING_APPROVAL = Notification(
    event="awaiting_approval",
    text="The preview of fabrikam/webstack is ready.",
    publisher_id="fabrikam",
    offer_id="webstack",
    images=[ImageVersion(plan_id="lts", version="4.2.1")],
    workflow_id="go-live/fabrikam/web stack",
    run_id="0199",
    until=datetime(2026, 12, 12, 9, 30, tzinfo=UTC),
    approvers=["dana@fabrikam.example"],
    adds=[ImageVersion(plan_id="lts", version="4.2.1")],
    removes=[ImageVersion(plan_id="lts", version="4.1.0")],
    deprecates=[ImageVersion(plan_id="edge", version="3.9.9")],
    changes=["the listing"],
    command=COMMAND,
)
LIVE = Notification(
    event="live",
    text="fabrikam/webstack is live.",
    workflow_id="go-live/fabrikam/web stack",
    run_id="0199",
    approved_by="dana@fabrikam.example",
    adds=[ImageVersion(plan_id="lts", version="4.2.1")],
)
HOSTILE = "<!channel> <https://evil.example|click> [click](https://evil.example) **b** & ``` \u202e\n# heading"


def body_in(form: Format, notification: Notification = AWAITING_APPROVAL, ui: str | None = UI) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(Announcer(form, ui).write(notification, "release"))
    return body


def texts(value: object) -> list[str]:
    """Return all texts of a message that a person reads."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for each in value.values() for text in texts(each)]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else []


def test_json_holds_every_member_and_the_link() -> None:
    body = body_in(Format.JSON)

    assert body.keys() == Notification.model_fields.keys() | {"link"}
    assert body["link"] == LINK
    assert body["until"] == "2026-12-12T09:30:00Z"
    assert body_in(Format.JSON, ui=None)["link"] is None


@pytest.mark.parametrize("form", [Format.SLACK, Format.TEAMS])
def test_a_chat_shows_what_going_live_changes_who_may_approve_and_with_which_command(form: Format) -> None:
    shown = " ".join(texts(body_in(form)))

    for part in (
        "fabrikam/webstack",
        "lts 4.2.1",
        "lts 4.1.0",
        "edge 3.9.9",
        "the listing",
        "dana@fabrikam.example",
        "2026-12-12 09:30 UTC",
        "temporal workflow update execute --workflow-id go-live/fabrikam/x",
        "Waiting for approval",
    ):
        assert part in shown


@pytest.mark.parametrize("form", [Format.SLACK, Format.TEAMS])
def test_a_chat_shows_who_approved_a_live_offer_and_no_command(form: Format) -> None:
    shown = " ".join(texts(body_in(form, LIVE)))

    assert "Approved by" in shown
    assert "dana@fabrikam.example" in shown
    assert "temporal workflow" not in shown


@pytest.mark.parametrize("form", [Format.SLACK, Format.TEAMS])
def test_a_reminder_says_which_one_it_is(form: Format) -> None:
    reminder = AWAITING_APPROVAL.model_copy(update={"reminder": 2})

    assert "Waiting for approval: reminder 2" in " ".join(texts(body_in(form, reminder)))


def test_slack_gets_the_link_to_the_run_and_quoted_text_adds_no_link_or_mention() -> None:
    hostile = AWAITING_APPROVAL.model_copy(update={"text": HOSTILE, "changes": [HOSTILE], "approvers": [HOSTILE]})
    body = body_in(Format.SLACK, hostile)
    shown = json.dumps(body, ensure_ascii=False)

    assert body["blocks"][0]["type"] == "section"
    assert shown.count("<") == 1
    assert f"<{LINK}|Open in Temporal>" in shown
    assert "&lt;!channel&gt;" in shown
    assert "\u202e" not in shown


def test_backticks_in_a_command_do_not_end_its_code_block_in_slack() -> None:
    body = body_in(Format.SLACK, AWAITING_APPROVAL.model_copy(update={"command": "echo ``` @here"}))

    assert body["blocks"][-1]["text"]["text"].count("```") == 2


def test_teams_gets_an_adaptive_card_whose_text_is_never_read_as_markdown() -> None:
    body = body_in(Format.TEAMS, AWAITING_APPROVAL.model_copy(update={"text": HOSTILE}))
    [attachment] = body["attachments"]
    card = attachment["content"]

    assert (body["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open in Temporal", "url": LINK}]
    assert "actions" not in body_in(Format.TEAMS, ui=None)["attachments"][0]["content"]


@given(words=st.text(max_size=4000), images=st.integers(0, 100))
def test_a_message_of_any_length_keeps_to_the_limits_of_slack_and_teams(words: str, images: int) -> None:
    many = [ImageVersion(plan_id="p" * 50, version=f"1.0.{number}") for number in range(images)]
    notification = AWAITING_APPROVAL.model_copy(
        update={
            "text": words,
            "changes": [words] * 30,
            "approvers": [words[:254]] * 100,
            "adds": many,
            "removes": many,
            "command": words,
        }
    )
    slack, teams = body_in(Format.SLACK, notification), body_in(Format.TEAMS, notification)

    assert all(len(block["text"]["text"]) <= 3000 for block in slack["blocks"])
    assert len(slack["blocks"]) <= 50
    assert len(json.dumps(teams, ensure_ascii=False).encode()) < 28 * 1024
