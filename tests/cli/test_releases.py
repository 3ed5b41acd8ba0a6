"""The command alone brings an offer from its creation to Production."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporalio.exceptions import ApplicationError

from tests.cli.command import Command, InProcess
from tests.desk import OFFER, Desk, failure_of
from workflows.messages import PublicationResult

FAST = {"polling": {"min_interval": 0.1, "max_interval": 0.2}}
DANA = "dana@fabrikam.example"


def write_input(folder: Path, request: dict[str, Any]) -> str:
    file = folder / "input.json"
    file.write_text(json.dumps(request | FAST))
    return str(file)


async def test_the_command_creates_promotes_and_approves_an_offer_and_summarizes_its_release(
    command: Command, desk: Desk, tmp_path: Path
) -> None:
    offer = f"{desk.publisher}/{OFFER}"

    status, out, err = await command("create", write_input(tmp_path, desk.create("4.2.0")), "--wait")
    assert status == 0, err
    workflow_id, _, result = out.partition("\n")
    assert workflow_id == f"offer/{offer}"
    assert json.loads(result)["outcome"] == "preview"

    promotion = write_input(tmp_path, desk.images("4.2.1", approval={"approvers": [DANA]}))
    message = f"Started. Follow it: python -m cli watch go-live/{offer}\n"
    assert await command("go-live", promotion) == (0, f"go-live/{offer}\n", message)
    status, out, err = await command("go-live", promotion)
    assert (status, out) == (1, "")
    assert f"go-live/{offer} is running already (ValidateAndGoLive, run " in err

    status, out, err = await command("approve", f"go-live/{offer}", "--approver", "eve")
    assert (status, out) == (1, "")
    assert "eve is not among those who may decide on going live" in err

    status, out, err = await command("approve", f"go-live/{offer}", "--approver", DANA, "--comment", "looks well")
    assert status == 0, err
    decision = json.loads(out)
    assert (decision["approve"], decision["approver"], decision["comment"]) == (True, DANA, "looks well")

    summary = tmp_path / "summary.md"
    summary.write_text("# Nightly build\n")
    status, out, err = await command("wait", f"go-live/{offer}", "--summary", str(summary))
    assert status == 0, err
    live = PublicationResult.model_validate_json(out)
    assert (live.outcome, live.approved_by) == ("live", DANA)
    page = summary.read_text()
    assert page.startswith(f"# Nightly build\n### ✅ {offer} is live\n")
    assert "| Images | webstack-lts 4.2.1 |\n" in page
    assert f"| Approved by | {DANA} |\n" in page


async def test_wait_exits_with_5_and_the_reason_after_a_rejection(
    here: InProcess, desk: Desk, tmp_path: Path
) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images() | FAST)

    status, out, err = await here("reject", run.id, "--comment", "wrong <b>kernel</b>")
    assert status == 0, err
    assert json.loads(out)["approve"] is False

    summary = tmp_path / "summary.md"
    status, out, err = await here("wait", run.id, "--summary", str(summary))
    assert (status, out) == (5, "")
    assert err.startswith("GoLiveRejected: ")
    assert "wrong <b>kernel</b>" in err
    assert "wrong \\<b\\>kernel\\</b\\>" in summary.read_text()

    status, _, err = await here("approve", run.id)
    assert status == 1
    assert err.startswith(f"{run.id} has ended (failed): there is nothing to decide any more. To see how it ended")
    assert f"🛑 {run.id} was rejected" in summary.read_text()


async def test_an_input_from_standard_input_is_sent_unchanged(command: Command, desk: Desk) -> None:
    text = json.dumps(desk.check() | FAST) + "\n" * 3
    status, out, err = await command("check", "-", "--id", f"{desk.publisher}/check", "--wait", stdin="\ufeff" + text)

    assert (status, out) == (3, f"{desk.publisher}/check\n")
    assert err.startswith("OfferNotFound: ")
    handle = desk.temporal.client.get_workflow_handle(f"{desk.publisher}/check")
    history = await handle.fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    assert started.input.payloads[0].data == text.encode()
    assert started.identity.startswith("offer-publisher:")


async def test_what_is_encrypted_cannot_be_read_without_the_keys(
    here: InProcess, sealed: Mapping[str, str], desk: Desk, tmp_path: Path
) -> None:
    await desk.preview("4.2.0")
    promotion = write_input(tmp_path, desk.images("4.2.0", approval={"approvers": [DANA]}))
    go_live, blind = f"go-live/{desk.publisher}/{OFFER}", {"PAYLOAD_ENCRYPTION_KEYS": ""}
    assert (await here("go-live", promotion, **sealed)).status == 0
    history = await desk.temporal.client.get_workflow_handle(go_live).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    assert started.input.payloads[0].metadata["encoding"] == b"binary/encrypted"

    # The decision stands although its answer cannot be read. That must not look like a failure.
    status, out, err = await here("approve", go_live, "--approver", DANA, **blind)
    assert (status, out) == (0, "")
    assert err.startswith("Approved: the decision stands. The run's answer is encrypted")

    status, out, err = await here("wait", go_live, **sealed)
    assert (status, err) == (0, "")
    assert json.loads(out)["approved_by"] == DANA
    status, out, err = await here("wait", go_live, **blind)
    assert (status, out) == (0, "")
    assert err.startswith("The run ended well. Its result is encrypted")
    status, out, _ = await here("watch", go_live, **blind)
    assert status == 0
    assert "Stage: live\n" in out
    assert "Trouble: The run's progress is encrypted" in out


async def test_a_decision_on_a_run_that_asks_for_no_approval_is_refused(here: InProcess, desk: Desk) -> None:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start("CreateOfferAndPublish", desk.create() | FAST)
    status, _, err = await here("approve", run.id)
    await run.terminate()

    assert status == 1
    refusal = f"{run.id} is a run of CreateOfferAndPublish, which asks for no approval."
    assert err == f"{refusal} Only runs of ValidateAndGoLive do.\n"
    status, _, err = await here("approve", run.id)
    assert (status, err.startswith(refusal)) == (1, True)


async def test_the_command_prints_the_workflows_message_about_a_wrong_input(
    here: InProcess, desk: Desk, tmp_path: Path
) -> None:
    request = desk.images("4.2.1") | {"when_ful": "fail"}
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(request))
    status, _, err = await here("publish", str(file), "--wait")
    failure: ApplicationError = await failure_of(await desk.start("UpdateOfferAndPublish", request))

    assert status == 3
    assert err == f"InvalidInput: {failure.message}\n"
    assert "when_ful: is not a known member (did you mean when_full?)" in err
