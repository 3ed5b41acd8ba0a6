"""The command explains wrong usage and configuration, and describes how a run ended."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import CancelledError, TerminatedError

import cli.__main__
import worker.connection
from cli.__main__ import main
from cli.arguments import program_of
from cli.rows import ending_text, how_to_approve
from cli.runs import Ending, ending_of_failure
from cli.starting import KINDS, default_id
from cli.statuses import MEANINGS, Status
from cli.summary import summary
from marketplace.model import ImageVersion
from tests.cli.command import InProcess
from tests.harness.processes import free_port
from workflows.messages import ApprovalProgress, GoLiveDecision, Progress

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "{folder}/nonesuch.json"], "nonesuch.json cannot be read: No such file or directory."),
        (["check", "{folder}/broken.json"], "broken.json is not JSON: Expecting value (line 1, column 1)."),
        (["check", "{folder}/list.json"], "list.json must hold one JSON object, the input of the workflow."),
        (["check", "{folder}/utf16.json"], "utf16.json is not UTF-8 text."),
        (["check", "{folder}/digits.json"], "digits.json has a number of more than 4300 digits."),
        (["check", "{folder}/deep.json"], "deep.json is nested too deeply."),
        (
            ["create", "{folder}/empty.json"],
            "The input names no offer, so there is no default workflow ID. Correct the input, or give an --id.",
        ),
        (["wait", "x", "--summary", "{folder}/no/page.md"], "page.md cannot be written: No such file or directory."),
    ],
)
async def test_wrong_usage_exits_with_2_and_a_sentence(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.json").write_text("publisher_id: fabrikam")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "utf16.json").write_bytes("{}".encode("utf-16"))
    (tmp_path / "digits.json").write_text(f'{{"offer_id": {"7" * 5000}}}')
    (tmp_path / "deep.json").write_text("[" * 100_000)

    assert await asyncio.to_thread(main, [word.format(folder=tmp_path) for word in words]) == 2
    assert capsys.readouterr().err.endswith(f"{message}\n")


@pytest.mark.parametrize("words", [[], ["publish"], ["publsh", "x"], ["approve", ""], ["wait", "x", "--sum", "y"]])
def test_a_wrong_command_line_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_the_placeholder_for_a_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["approve", "x", "--approver", "YOUR NAME"])
    assert ended.value.code == 2
    assert "replace YOUR NAME with your name" in capsys.readouterr().err


async def test_variables_that_only_the_worker_reads_are_not_checked(here: InProcess) -> None:
    variables = {"LOG_LEVEL": "loud", "MARKETPLACE_URL": "nowhere", "METRICS_ADDRESS": "0.0.0.0:1"}
    status, _, err = await here("wait", "nonesuch", **variables)
    assert (status, err) == (1, "There is no run with the ID nonesuch in namespace default.\n")


async def test_a_wrong_variable_exits_with_2_and_its_name(here: InProcess) -> None:
    status, _, err = await here("wait", "x", PAYLOAD_ENCRYPTION_KEYS="secret")
    assert status == 2
    assert err.startswith("Wrong configuration: PAYLOAD_ENCRYPTION_KEYS: must be id:base64 key[,id:base64 key]")
    status, _, err = await here("wait", "x", TEMPORAL_NAMESPACE="elsewhere")
    assert (status, err) == (2, "There is no namespace elsewhere. Check TEMPORAL_NAMESPACE.\n")


async def test_a_server_that_does_not_answer_exits_with_1_and_its_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker.connection, "PATIENCE", timedelta(0))
    nowhere = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("TEMPORAL_ADDRESS", nowhere)

    assert await asyncio.to_thread(main, ["wait", "x"]) == 1
    assert f"Temporal does not answer at {nowhere}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "example", "workflow_id"),
    [
        ("create", "create.json", "offer/fabrikam-linux/webstack-appliance"),
        ("create", "create-another.json", "offer/fabrikam-linux/another-appliance"),
        ("create", "product-ingestion/create.json", "offer/fabrikam-linux/webstack-appliance"),
        ("publish", "update.json", "offer/fabrikam-linux/webstack-appliance"),
        ("go-live", "go-live.json", "go-live/fabrikam-linux/webstack-appliance"),
        ("check", "check.json", "check/fabrikam-linux/webstack-appliance"),
    ],
)
def test_the_default_workflow_id_is_the_one_in_the_runbook(command: str, example: str, workflow_id: str) -> None:
    assert default_id(command, (EXAMPLES / example).read_bytes()) == workflow_id


def test_the_command_knows_the_name_by_which_it_was_called() -> None:
    assert program_of("/app/cli/__main__.py") == "python -m cli"
    assert program_of("/usr/local/bin/offer-publisher") == "offer-publisher"


def test_a_summary_names_removed_images_and_escapes_text_from_others() -> None:
    version = {"plan_id": "a|b", "version": "1.0.0"}
    result = {
        "publisher_id": "p",
        "offer_id": "o",
        "outcome": "live",
        "images": [version] * 101,
        "removed": [version],
        "deprecated": [version | {"generation": "x64Gen2"}],
        "changed": False,
        "approved_by": "<b>dana</b>",
    }
    page = summary("offer/[x](y)", Ending(Status.OK, result), "offer-publisher")
    assert page.splitlines()[0] == "### ✅ p/o is live"
    assert "| Workflow | offer/\\[x\\](y) |" in page
    assert "| Removed | a\\|b 1.0.0 |" in page
    assert "| Deprecated | a\\|b 1.0.0 (generation x64Gen2) |" in page
    assert "and 1 more |" in page
    assert "| Approved by | \\<b\\>dana\\</b\\> |" in page
    assert "nothing: everything was as requested already" in page


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (Ending(Status.NOT_APPROVED, error="GoLiveRejected: no"), "🛑 x was rejected"),
        (Ending(Status.NOT_APPROVED, error="ApprovalTimedOut: no"), "🛑 x was not decided on in time"),
        (ending_of_failure(CancelledError("no")), "🛑 x was cancelled"),
        (ending_of_failure(TerminatedError("no")), "🛑 x was terminated"),
        (Ending(Status.REFUSED, error="InvalidInput: no"), "❌ x failed"),
        (Ending(Status.OK, explanation="Its result is encrypted."), "Its result is encrypted."),
    ],
    ids=["rejected", "not decided", "cancelled", "terminated", "failed", "encrypted"],
)
def test_a_summary_says_how_the_run_ended(ending: Ending, text: str) -> None:
    assert text in summary("x", ending, "offer-publisher")


def test_the_details_of_a_failure_are_shortened_for_a_terminal_and_escaped_in_a_summary() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    progress = Progress(
        publisher_id="fabrikam",
        offer_id="vm",
        since=moment,
        images=[ImageVersion(plan_id="a|b", version=f"1.0.{number}") for number in range(101)],
        approval=ApprovalProgress(required=True, decision=GoLiveDecision(approve=True, decided_at=moment)),
        notes=[f"<note {number}>\n" for number in range(6)],
    )
    ending = Ending(Status.OTHER, error="Unknown: no", progress=progress)

    lines = ending_text("x", ending, "offer-publisher").splitlines()
    assert lines[:2] == ["Unknown: no", "Offer: fabrikam/vm"]
    assert lines[2].startswith("Images: a|b 1.0.0, ")
    assert lines[2].endswith("a|b 1.0.9 and 91 more")
    assert lines[3] == "Approved by: somebody who gave no name"
    assert lines[4:] == [f"Note: <note {number}>" for number in range(1, 6)]
    page = summary("x", ending, "offer-publisher")
    assert "| Offer | fabrikam/vm |\n| Images | a\\|b 1.0.0, " in page
    assert "a\\|b 1.0.99 and 1 more |\n| Approved by | somebody who gave no name |\n\nUnknown: no\n" in page
    assert page.endswith("\n\\<note 4\\>\n\n\\<note 5\\>\n")


def test_the_text_and_the_summary_of_a_cancelled_run_say_that_the_offer_may_still_go_live() -> None:
    progress = Progress(
        publisher_id="fabrikam",
        offer_id="vm",
        since=datetime(2026, 1, 1, tzinfo=UTC),
        notes=["Going live had been requested. It cannot be cancelled."],
    )
    ending = Ending(Status.CANCELED, error="The run was cancelled.", progress=progress)
    page, text = summary("x", ending, "python -m cli"), ending_text("x", ending, "python -m cli")
    assert page.startswith("### 🛑 x was cancelled; the offer may still go live\n")
    for told in (page.replace("\\", ""), text):
        assert "fabrikam/vm" in told
        assert "It cannot be cancelled" in told
        request = '{"publisher_id": "fabrikam", "offer_id": "vm"}'
        assert f"may still go live. Follow it: echo '{request}' | python -m cli check - --wait" in told


def test_the_help_and_the_document_explain_an_exit_status_in_the_same_words() -> None:
    document = (EXAMPLES.parent / "docs" / "errors.md").read_text()
    for status, meaning in MEANINGS.items():
        assert f"| {status.value} | {meaning} |" in document


@pytest.mark.parametrize(
    ("approvers", "name"), [([], "'YOUR NAME'"), (["dana"], "dana"), (["dana", "eve"], "'YOUR NAME'")]
)
def test_the_command_that_approves_names_only_the_single_approver(approvers: list[str], name: str) -> None:
    approval = ApprovalProgress(required=True, approvers=approvers)
    assert how_to_approve("go-live/a/b", approval, "offer-publisher") == (
        f"offer-publisher approve go-live/a/b --approver {name}"
    )


def test_every_workflow_has_a_command() -> None:
    schemas = {path.stem for path in (EXAMPLES / "schemas").iterdir()}
    assert {kind.workflow for kind in KINDS.values()} == {name for name in schemas if name[0].isupper()}
    assert json.loads((EXAMPLES / "schemas" / "decide_go_live.json").read_text())["title"] == "decide_go_live"


async def test_a_defect_of_the_command_exits_with_1_and_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_settings: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.__main__, "connected", broken)
    ended = await InProcess(capsys)("watch", "go-live/a/b")

    assert ended.status == 1
    assert "Traceback" in ended.err
    assert "in broken" in ended.err
    assert ended.err.splitlines()[-1].startswith("This is a defect of the command. Report it")
