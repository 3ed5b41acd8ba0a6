"""Encrypted runs are read and approved with the `temporal` CLI through the codec server."""

import json

import pytest

from tests.apis.cloud_partner import offer_document
from tests.desk import OFFER
from tests.harness.processes import free_port
from tests.harness.programs import Program, Programs
from tests.harness.waiting import until
from tests.process.sandbox_publisher import Publisher
from tests.process.shell import Shell

KEYS = {"PAYLOAD_ENCRYPTION_KEYS": "key:aHVudGVyMmh1bnRlcjIhIQ=="}
TOKEN = "invented-token-1"
FAST = {"min_interval": "PT0.3S", "max_interval": "PT0.5S"}
APPROVAL = '{"approve": true, "approver": "dana@fabrikam.example", "comment": "ship it"}'


async def codec_server(programs: Programs, *words: str, **environment: str) -> tuple[Program, str]:
    """Start a codec server, and return it with its URL."""
    port = free_port()
    server = programs.python("-m", "worker.codec_server", "--port", str(port), *words, environment=KEYS | environment)
    await server.until_says("Running on")
    return server, f"http://127.0.0.1:{port}"


async def test_the_cli_reads_an_encrypted_run_through_the_codec_server(
    programs: Programs, address: str, publisher: Publisher
) -> None:
    shell, run = Shell(address), f"{publisher.name}/encrypted"
    server, endpoint = await codec_server(programs)
    await programs.worker(address, publisher.url, publisher.name, **KEYS).until_working()
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
    await programs.worker(address, publisher.url, publisher.name, **KEYS).until_working()
    shell, run = Shell(address), f"{publisher.name}/go-live"
    document = {"offer": offer_document(publisher.name, ["4.2.0"]), "polling": FAST}
    promotion = {"publisher_id": publisher.name, "offer_id": OFFER, "images": [], "polling": FAST}
    create = ("workflow", "execute", "--type", "CreateOfferAndPublish", "-w", f"{publisher.name}/create")
    await shell.run(*create, "-t", publisher.name, "--input", json.dumps(document))
    start = ("workflow", "start", "--type", "ValidateAndGoLive", "-w", run)
    await shell.run(*start, "-t", publisher.name, "--input", json.dumps(promotion))

    await until(lambda: awaits_approval(shell, run), f"{run} awaits approval")
    return run


async def awaits_approval(shell: Shell, run: str) -> bool:
    """Return whether a run awaits approval. Search attributes show it without a key."""
    query = f'WorkflowId="{run}" AND PublishStage="awaiting_approval"'
    return bool(await shell.json("workflow", "list", "--query", query))


def decide_go_live(run: str) -> tuple[str, ...]:
    return ("workflow", "update", "execute", "-w", run, "--name", "decide_go_live", "-i", APPROVAL)


async def test_the_cli_reads_the_answer_to_an_approval_through_a_codec_server_that_requires_a_token(
    programs: Programs, address: str, publisher: Publisher, awaiting: str
) -> None:
    _, endpoint = await codec_server(programs, CODEC_SERVER_TOKEN=TOKEN)
    stranger = Shell(address, TEMPORAL_CODEC_ENDPOINT=endpoint)
    status, said = await stranger.status("workflow", "query", "-w", awaiting, "--name", "progress")
    assert status == 1
    assert "The codec server needs its token" in said
    assert OFFER not in said

    shell = Shell(address, TEMPORAL_CODEC_ENDPOINT=endpoint, TEMPORAL_CODEC_AUTH=f"Bearer {TOKEN}")
    status, said = await shell.status(*decide_go_live(awaiting))

    assert status == 0, said
    assert "approver:dana@fabrikam.example" in said
    result = await shell.json("workflow", "result", "-w", awaiting)
    assert result["result"]["outcome"] == "live"
    assert result["result"]["approved_by"] == "dana@fabrikam.example"


async def test_an_approval_counts_even_if_the_cli_cannot_decrypt_the_answer(
    programs: Programs, address: str, publisher: Publisher, awaiting: str
) -> None:
    shell = Shell(address)
    status, said = await shell.status(*decide_go_live(awaiting))

    async def is_decided() -> bool:
        return not await awaits_approval(shell, awaiting)

    assert status == 1
    assert "encoding binary/encrypted: payload encoding is not supported" in said
    await until(is_decided, f"{awaiting} is decided")
    status, said = await shell.status(*decide_go_live(awaiting))
    assert status == 1
    assert "comes too late" in said or "already completed" in said
    await shell.run("workflow", "result", "-w", awaiting)
    assert publisher.effects("go_live") == 1


def test_the_codec_server_does_not_start_without_keys(programs: Programs) -> None:
    server = programs.python("-m", "worker.codec_server")

    assert server.ended() == 2
    assert server.said().startswith("Wrong configuration: PAYLOAD_ENCRYPTION_KEYS")
    assert server.said().count("\n") == 1


def test_the_codec_server_refuses_a_port_that_does_not_exist(programs: Programs) -> None:
    server = programs.python("-m", "worker.codec_server", "--port", "70000", environment=KEYS)

    assert server.ended() == 1
    assert server.said().startswith("codec server: cannot listen on 127.0.0.1:70000: ")
    assert "0-65535" in server.said()
    assert server.said().count("\n") == 1
