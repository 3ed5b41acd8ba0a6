"""Encrypted runs, read and approved with the real CLI through the real codec server."""

import json

import pytest

from tests.apis.cloud_partner import offer_document
from tests.desk import OFFER
from tests.harness.processes import free_port
from tests.process.processes import Program, Programs, Publisher, until, until_working
from tests.process.shell import Shell

KEYS = {"PAYLOAD_ENCRYPTION_KEYS": "key:aHVudGVyMmh1bnRlcjIhIQ=="}
TOKEN = "invented-token-1"
FAST = {"min_interval": "PT0.3S", "max_interval": "PT0.5S"}
APPROVAL = '{"approve": true, "approver": "dana@fabrikam.example", "comment": "ship it"}'


async def codec_server(programs: Programs, *words: str, **environment: str) -> tuple[Program, str]:
    """Start a codec server; return it and its address."""
    port = free_port()
    server = programs.python("-m", "worker.codec_server", "--port", str(port), *words, environment=KEYS | environment)
    await until(lambda: "Running on" in server.said(), server)
    return server, f"http://127.0.0.1:{port}"


async def test_an_encrypted_run_is_read_through_the_codec_server(
    programs: Programs, address: str, publisher: Publisher
) -> None:
    shell, run = Shell(address), f"{publisher.name}/encrypted"
    server, endpoint = await codec_server(programs)
    await until_working(programs.worker(address, publisher.url, publisher.name, **KEYS))
    codec = ("--codec-endpoint", endpoint)
    check = {"publisher_id": publisher.name, "offer_id": OFFER}
    start = ("workflow", "start", "--type", "CheckLastOperationStatus", "-t", publisher.name, "-w", run)
    await shell.run(*start, "--input", json.dumps(check), *codec)
    await shell.status("workflow", "result", "-w", run, *codec)

    assert OFFER in await shell.run("workflow", "show", "-w", run, "--detailed", *codec)
    sealed = await shell.run("workflow", "show", "-w", run, "-o", "json")
    assert "YmluYXJ5L2VuY3J5cHRlZA==" in sealed
    assert json.dumps(check) not in sealed
    progress = await shell.json("workflow", "query", "-w", run, "--name", "progress", *codec)
    assert progress["queryResult"][0]["offer_id"] == OFFER
    assert server.stop() == 0


@pytest.fixture
async def awaiting(programs: Programs, address: str, publisher: Publisher) -> str:
    """The workflow ID of an encrypted run that awaits approval."""
    await until_working(programs.worker(address, publisher.url, publisher.name, **KEYS))
    shell, run = Shell(address), f"{publisher.name}/go-live"
    document = {"offer": offer_document(publisher.name, ["4.2.0"]), "polling": FAST}
    promotion = {"publisher_id": publisher.name, "offer_id": OFFER, "images": [], "polling": FAST}
    create = ("workflow", "execute", "--type", "CreateOfferAndPublish", "-w", f"{publisher.name}/create")
    await shell.run(*create, "-t", publisher.name, "--input", json.dumps(document))
    start = ("workflow", "start", "--type", "ValidateAndGoLive", "-w", run)
    await shell.run(*start, "-t", publisher.name, "--input", json.dumps(promotion))

    await until(lambda: is_awaited(shell, run))
    return run


async def is_awaited(shell: Shell, run: str) -> bool:
    """Return whether a run awaits approval, as everybody sees it who has no key."""
    query = f'WorkflowId="{run}" AND PublishStage="awaiting_approval"'
    return bool(await shell.json("workflow", "list", "--query", query))


def deciding(run: str) -> tuple[str, ...]:
    return ("workflow", "update", "execute", "-w", run, "--name", "decide_go_live", "-i", APPROVAL)


async def test_the_answer_to_an_approval_is_read_through_the_codec_server_with_its_token(
    programs: Programs, address: str, publisher: Publisher, awaiting: str
) -> None:
    _, endpoint = await codec_server(programs, CODEC_SERVER_TOKEN=TOKEN)
    stranger = Shell(address, TEMPORAL_CODEC_ENDPOINT=endpoint)
    status, said = await stranger.status("workflow", "query", "-w", awaiting, "--name", "progress")
    assert status == 1
    assert "The codec server needs its token" in said
    assert OFFER not in said

    shell = Shell(address, TEMPORAL_CODEC_ENDPOINT=endpoint, TEMPORAL_CODEC_AUTH=f"Bearer {TOKEN}")
    status, said = await shell.status(*deciding(awaiting))

    assert status == 0, said
    assert "approver:dana@fabrikam.example" in said
    result = await shell.json("workflow", "result", "-w", awaiting)
    assert result["result"]["outcome"] == "live"
    assert result["result"]["approved_by"] == "dana@fabrikam.example"


async def test_an_approval_whose_answer_cannot_be_read_counts(
    programs: Programs, address: str, publisher: Publisher, awaiting: str
) -> None:
    shell = Shell(address)
    status, said = await shell.status(*deciding(awaiting))

    async def is_decided() -> bool:
        return not await is_awaited(shell, awaiting)

    assert status == 1
    assert "encoding binary/encrypted: payload encoding is not supported" in said
    await until(is_decided)
    status, said = await shell.status(*deciding(awaiting))
    assert status == 1
    assert "comes too late" in said or "already completed" in said
    await shell.run("workflow", "result", "-w", awaiting)
    assert publisher.effects("go_live") == 1


def test_the_codec_server_wants_its_keys(programs: Programs) -> None:
    server = programs.python("-m", "worker.codec_server")

    assert server.ended() == 2
    assert server.said().startswith("Wrong configuration: PAYLOAD_ENCRYPTION_KEYS")
    assert server.said().count("\n") == 1


def test_the_codec_server_says_which_ports_there_are(programs: Programs) -> None:
    server = programs.python("-m", "worker.codec_server", "--port", "70000", environment=KEYS)

    assert server.ended() == 1
    assert server.said().startswith("codec server: cannot listen on 127.0.0.1:70000: ")
    assert "0-65535" in server.said()
    assert server.said().count("\n") == 1
