"""The page of a run: what it shows, and that quoted text cannot become markup."""

import shlex
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.model import ImageVersion, Step, StepState
from workflows.messages import ApprovalProgress, GoLiveDecision, Progress, PublishStage
from workflows.page import page, plain

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = [
    "a | b",
    "<script>alert(1)</script>",
    "`code`",
    "two\nlines\r\n\r\n# heading",
    "[click](https://evil.example)",
    "![img](https://evil.example/x.png)",
    "**bold** _it_ ~~gone~~",
    "\\| \\`",
    "\u2028next\u2029",
]


def progress_with(words: str) -> Progress:
    """Return the progress of a run in which every text is the same."""
    return Progress(
        publisher_id=words,
        offer_id=words,
        since=NOW,
        stage=PublishStage.AWAITING_APPROVAL,
        waiting_for=words,
        steps=[Step(id="s", name=words, state=StepState.IN_PROGRESS, percent=5)],
        images=[ImageVersion(plan_id=words, version="1.0.0")],
        approval=ApprovalProgress(
            required=True,
            approvers=[words],
            reopened=words,
            decision=GoLiveDecision(approve=True, approver=words, comment=words, decided_at=NOW),
        ),
        error=words,
        notes=[words],
    )


@pytest.mark.parametrize("words", HOSTILE)
def test_quoted_text_cannot_change_the_layout_or_become_markup(words: str) -> None:
    shown, tame = page(progress_with(words), "run"), page(progress_with("tame"), "run")

    assert len(shown.splitlines()) == len(tame.splitlines())
    assert shown.count("\n") == tame.count("\n")
    row = next(line for line in shown.splitlines() if line.startswith("| ▶"))
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 4
    for line in shown.splitlines():
        if not line.startswith(("Images: ", "    ")):
            assert "<" not in line.replace("\\<", "")
            assert "](" not in line.replace("\\]", "")


@given(text=st.text(max_size=60))
def test_plain_text_is_one_line_in_which_all_markup_is_escaped(text: str) -> None:
    written = plain(text)
    assert len(written.splitlines()) <= 1
    unescaped = written
    for mark in "\\`*_{}[]<>|#":
        unescaped = unescaped.replace(f"\\{mark}", "")
    assert not set(unescaped) & set("`*_{}[]<>|#")


@pytest.mark.parametrize("stage", PublishStage)
def test_the_page_asks_for_approval_until_the_run_is_over(stage: PublishStage) -> None:
    approval = ApprovalProgress(required=True, until=NOW, reopened="published again")
    text = page(Progress(since=NOW, stage=stage, approval=approval), "run")
    over = stage in {PublishStage.LIVE, PublishStage.FAILED, PublishStage.CANCELED}
    assert ("May approve: anyone, until 2026-03-01 12:00:00 UTC" in text) is not over
    assert ("**Approve again:** published again" in text) is not over


def test_the_page_shows_the_stage_the_steps_and_what_the_run_is_waiting_for() -> None:
    text = page(progress_with("tame"), "run")
    assert "**tame/tame** · awaiting approval since 2026-03-01 12:00:00 UTC" in text
    assert "| ▶ | tame | in progress, 5 % |" in " ".join(text.split())
    assert "**Waiting for** tame" in text
    assert "**Approve again:** tame" in text


def test_the_command_that_approves_can_be_pasted_into_a_shell() -> None:
    approval = ApprovalProgress(required=True, approvers=["dana@fabrikam.example"])
    text = page(Progress(since=NOW, stage=PublishStage.AWAITING_APPROVAL, approval=approval), "it's/web", "prod")
    command = "\n".join(line for line in text.splitlines() if line.startswith("    "))

    assert max(map(len, command.splitlines())) < 80
    assert shlex.split(command.replace("\\\n", "")) == [
        *("temporal", "workflow", "update", "execute", "--namespace", "prod", "--workflow-id", "it's/web"),
        *("--name", "decide_go_live", "--input", '{"approve": true, "approver": "dana@fabrikam.example"}'),
    ]


def test_a_run_that_does_not_await_approval_shows_no_command_that_approves() -> None:
    assert "decide_go_live" not in page(Progress(since=NOW, stage=PublishStage.PUBLISHING), "web")
