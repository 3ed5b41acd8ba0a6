"""Plant secrets wherever a worker meets one, and search for them in everything that people and machines can read."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import httpx
import pytest
from aiohttp import web
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError

from cli.__main__ import main
from tests.apis.api import Api
from tests.desk import OFFER, PLAN, SAS, STEPS, vhd
from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.harness.runs import lease_of, until_asked, until_progress
from tests.harness.temporal_server import connected
from tests.harness.waiting import until
from tests.process.outside import ENTRA, MARKETPLACE, TRACES, WEBHOOK, Outside, Wire
from tests.process.sandbox_publisher import Publisher
from worker.encryption import ENCODING, EncryptionCodec
from worker.registration import create_data_converter

QUEUE = "secrets"
FAST = {"polling": {"min_interval": "PT0.1S", "max_interval": "PT0.2S"}}
DANA = "dana@fabrikam.example"

# Letters and digits only, which no encoding changes.
CLIENT_SECRET = "PLANTEDclientsecret"
PROXY_PASSWORD = "PLANTEDproxypassword"
HOOK_PATH, HOOK_QUERY = "PLANTEDhookpath", "PLANTEDhookquery"
NOTIFY_SECRET = "PLANTEDnotifysecret"
TRACES_TOKEN = "PLANTEDtracestoken"
ENCRYPTION_KEY = base64.b64encode(b"PLANTEDencryptionkey+32+bytes+++").decode()
ACCOUNT_KEY = base64.b64encode(b"PLANTEDaccountkey").decode()
API_KEY = "021aciceotso1200"
"""Made of characters that HTTP/2 writes in five bits each, so that it can be found on the wire."""

SHORTEST_PART = 7
"""Shorter parts of signatures are ignored: where no signature matters, the sandbox writes the word ``sandbox``."""

OF_FIVE_BITS = "012aceiost"

CREATED, CREATED_DATA, LOGO, LEADS = "PLANTEDcreateddisk", "PLANTEDcreateddata", "PLANTEDlogo", "PLANTEDleads"
OS_DISK, DATA_DISK, EXPIRED, ASTRAY = "PLANTEDosdisk", "PLANTEDdatadisk", "PLANTEDexpired", "PLANTEDastray"
OTHER_DISK, QUOTED = "PLANTEDotherdisk", "PLANTEDquotedbycertification"
SIGNED_BY_US = "4.3.0-logs"
"""A disk without a signature in the input. The worker has the key of its account and signs it."""

OF_INPUTS = {CREATED, CREATED_DATA, LOGO, LEADS, OS_DISK, DATA_DISK, EXPIRED, ASTRAY, OTHER_DISK}
"""Secrets that a person put into an input."""

EDITS = {"put_offer", "edit_images"}
"""The activities whose own input needs these secrets."""

SIGNATURE_FIRST = "sig={}%2B&sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z"
SIGNATURE_BETWEEN = "sv=2022-11-02&sr=c&sig={}%3D&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z"
SIGNATURE_LAST = SAS.replace("INVENTED", "{}")

NONSENSE = b"is not JSON"
"""From the error about an answer that the worker cannot read."""

Place: TypeAlias = tuple[str, bytes]
"""A place that people or machines can read, and its content."""


@dataclass
class Stage:
    """Starts the test's runs, and collects everything that can be read in the meantime."""

    api: Api
    outside: Outside
    sandbox_url: str
    client: Client
    began: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    async def publisher(self, name: str, **switches: object) -> Publisher:
        """Return a new publisher. Its only offer has the same name."""
        found = Publisher(f"{self.api.name}-{name}", self.sandbox_url)
        await found.control("PUT", "switches", {"step_durations": dict.fromkeys(STEPS, 0.1), **switches})
        async with httpx.AsyncClient(base_url=self.sandbox_url) as http:
            body = {"publisher": found.name}
            (await http.put(f"/_control/owners/{found.name}", json=body)).raise_for_status()
        return found

    def creation(self, publisher: Publisher) -> dict[str, Any]:
        """Return the input that creates the publisher's offer, with a secret in every place that can hold one."""
        text = json.dumps(self.api.document(publisher.name, ["4.2.0"]))
        disks = [(number, f"{vhd(f'4.2.0-{number}')}?{SIGNATURE_LAST.format(CREATED_DATA)}") for number in range(2)]
        in_portal = json.dumps([{"lun": number, "vhdUrl": url} for number, url in disks])
        in_ingestion = json.dumps([{"lunNumber": number, "uri": url} for number, url in disks])
        text = text.replace('"lunVhdDetails": []', f'"lunVhdDetails": {in_portal}')
        text = text.replace('"dataDisks": []', f'"dataDisks": {in_ingestion}')
        text = text.replace(SAS, SIGNATURE_FIRST.format(CREATED)).replace(f'"{OFFER}"', f'"{publisher.name}"')
        text = re.sub(r"(logo-4[08]\.png)", rf"\1?sv=2022-11-02&sig={LOGO}&se=2199-01-01", text)
        document = json.loads(text)
        if self.api.name == "cloud-partner":
            configuration = {"table": "leads", "connectionString": LEADS}
            document["definition"]["offer"]["microsoft-azure-marketplace.tableLeadConfiguration"] = configuration
        else:
            [leads] = [each for each in document["resources"] if "/customer-leads/" in each["$schema"]]
            leads["azureTableLeadConfiguration"] = {"connectionString": LEADS}
        return self.api.creation(publisher.name, document)

    def images(self, publisher: Publisher, query: str, **image: object) -> dict[str, Any]:
        """Return an input that adds an image."""
        wanted = {"plan_id": PLAN, "version": "4.3.0", "os_vhd_url": f"{vhd('4.3.0')}?{query}", **image}
        return {"publisher_id": publisher.name, "offer_id": publisher.name, "images": [wanted]}

    async def start(self, name: str, workflow: str, start: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        """Start a run."""
        self.began.append(f"{self.api.name}/{name}")
        return await self.client.start_workflow(workflow, start | FAST, id=self.began[-1], task_queue=QUEUE)

    async def decide(self, run: WorkflowHandle[Any, Any], decision: str) -> None:
        """Approve or reject with the command once the run asks, while somebody else watches the run."""
        await until_asked(run)
        watching = asyncio.create_task(asyncio.to_thread(main, ["watch", run.id]))
        assert await asyncio.to_thread(main, [decision, run.id, "--approver", DANA]) == 0
        await watching

    async def failure(self, name: str, workflow: str, start: dict[str, Any]) -> str:
        """Run a workflow that fails, and return the type of its error."""
        run = await self.start(name, workflow, start)
        with pytest.raises(WorkflowFailureError) as failed:
            await run.result()
        assert isinstance(failed.value.cause, ApplicationError), failed.value.cause
        return str(failed.value.cause.type)


async def test_secrets_are_only_where_they_are_needed(
    api: Api,
    programs: Programs,
    marketplace_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    temporal, metrics, codec = free_port(), free_port(), EncryptionCodec({"2026": base64.b64decode(ENCRYPTION_KEY)})
    programs.temporal(temporal)
    await connected(f"127.0.0.1:{temporal}")
    client = await Client.connect(f"127.0.0.1:{temporal}", data_converter=create_data_converter(codec))
    wire, outside = Wire(temporal), Outside(marketplace_url, tmp_path)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(wire.listening())
        await stack.enter_async_context(outside.listening())
        base = f"https://{MARKETPLACE}" + ("" if api.name == "cloud-partner" else "/rp/product-ingestion")
        proxy = f"http://release:{PROXY_PASSWORD}@127.0.0.1:{outside.proxy_port}"
        shared = {
            "TEMPORAL_ADDRESS": address,
            "TEMPORAL_API_KEY": API_KEY,
            "TEMPORAL_TLS": "false",
            "TEMPORAL_TASK_QUEUE": QUEUE,
            "PAYLOAD_ENCRYPTION_KEYS": f"2026:{ENCRYPTION_KEY}",
        }
        for name, value in {**shared, "TEMPORAL_CONFIG_FILE": "/dev/null"}.items():
            monkeypatch.setenv(name, value)
        outside.entra_refuses = True
        worker = programs.python(
            *("-m", "worker"),
            environment=shared
            | {
                "MARKETPLACE_API": api.name,
                "MARKETPLACE_URL": base,
                "AZURE_AUTHORITY_HOST": f"https://{ENTRA}",
                "AZURE_TENANT_ID": "c2d8b7a4-54a6-4bf0-9b7e-0f8f3a1d6e90",
                "AZURE_CLIENT_ID": "11111111-2222-3333-4444-555555555555",
                "AZURE_CLIENT_SECRET": CLIENT_SECRET,
                "AZURE_STORAGE_ACCOUNT_KEYS": f"fabrikamimages={ACCOUNT_KEY}",
                "HTTP_PROXY": proxy,
                "HTTPS_PROXY": proxy.removeprefix("http://"),
                "SSL_CERT_FILE": str(outside.certificate),
                "NOTIFY_WEBHOOK_URL": f"http://{WEBHOOK}/{HOOK_PATH}?code={HOOK_QUERY}",
                "NOTIFY_SECRET": NOTIFY_SECRET,
                "METRICS_ADDRESS": f"127.0.0.1:{metrics}",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{TRACES}",
                "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Basic%20{TRACES_TOKEN}",
                "LOG_LEVEL": "DEBUG",
                "LOG_FORMAT": "json" if api.name == "cloud-partner" else "text",
            },
        )
        await worker.until_working()
        stage = Stage(api, outside, marketplace_url, client)
        summary = tmp_path / "summary.md"
        await play(stage, summary)
        sealed, opened = await histories(client, codec)
        places = [
            *stage.places,
            *[place async for place in shown_by_temporal(client)],
            ("what the command writes", "".join(capsys.readouterr()).encode()),
            ("the summary of a pipeline", summary.read_bytes()),
            ("/metrics", await read(f"http://127.0.0.1:{metrics}/metrics")),
        ]
        assert await asyncio.to_thread(worker.stop) == 0  # a worker that stops sends its remaining spans
        places.append(("the worker's log", worker.said().encode()))
        places += [("a notification", f"{each.headers}\n".encode() + each.body) for each in outside.of(WEBHOOK)]
        places += [("spans", each.body) for each in outside.of(TRACES)]

    secrets = planted_and_used(outside, wire, sealed)
    assert_worth_reading(stage, places)

    assert found(secrets, places) == set()
    assert found(secrets, in_history(sealed)) == set()
    # The decrypted histories are what Temporal keeps where PAYLOAD_ENCRYPTION_KEYS is unset. There, inputs show
    # the URLs that a person signed.
    assert {secret for secret, _ in found(secrets, in_history(opened))} == OF_INPUTS
    assert found(secrets, in_history(without_inputs(opened))) == set()


async def play(stage: Stage, summary: Path) -> None:
    """Play runs that succeed and runs that fail in many ways."""
    one = await stage.publisher("one")
    nothing = {"publisher_id": one.name, "offer_id": one.name}
    assert await stage.failure("no-token", "CheckLastOperationStatus", nothing) == "NotAuthorized"
    stage.outside.entra_refuses = False

    async with asyncio.TaskGroup() as group:
        for scene in (
            release(stage, one),
            fail_at_certification(stage),
            refuse_the_token(stage),
            refuse_the_offer(stage),
            answer_nonsense(stage),
            cancel(stage),
        ):
            group.create_task(scene)
    for workflow_id in stage.began:
        await asyncio.to_thread(main, ["watch", workflow_id])
        await asyncio.to_thread(main, ["wait", workflow_id, "--summary", str(summary)])


async def release(stage: Stage, one: Publisher) -> None:
    """Create an offer, and bring an image to Production at the second attempt."""
    created = await stage.start("creation", "CreateOfferAndPublish", stage.creation(one))
    assert (await created.result())["outcome"] == "preview"
    expired = stage.images(one, SIGNATURE_LAST.format(EXPIRED).replace("2199", "2024"))
    assert await stage.failure("expired", "UpdateOfferAndPublish", expired) == "InvalidInput"
    mistyped = stage.images(one, SAS, version=f"{vhd('4.3.0')}?{SIGNATURE_LAST.format(ASTRAY)}")
    assert await stage.failure("mistyped", "UpdateOfferAndPublish", mistyped) == "InvalidInput"

    disks = [
        {"lun": 0, "vhd_url": f"{vhd('4.3.0-data')}?{SIGNATURE_BETWEEN.format(DATA_DISK)}"},
        {"lun": 1, "vhd_url": vhd(SIGNED_BY_US)},
    ]
    promotion = stage.images(one, SIGNATURE_LAST.format(OS_DISK), data_disks=disks)
    promotion["approval"] = {"approvers": [DANA]}
    rejected = await stage.start("rejected", "ValidateAndGoLive", promotion)
    await stage.decide(rejected, "reject")
    with pytest.raises(WorkflowFailureError):
        await rejected.result()
    released = await stage.start("released", "ValidateAndGoLive", promotion)
    await stage.decide(released, "approve")
    assert (await released.result())["outcome"] == "live"

    other = f"{vhd('other')}?{SIGNATURE_FIRST.format(OTHER_DISK).replace('sig=', 'SIG=')}"
    conflict = stage.images(one, SAS, os_vhd_url=other, data_disks=disks)
    assert await stage.failure("conflict", "UpdateOfferAndPublish", conflict) == "VersionConflict"


async def fail_at_certification(stage: Stage) -> None:
    """Let certification fail with a message that quotes a signature."""
    publisher = await stage.publisher("uncertified")
    quoted = f"<p>Cannot read <a>{vhd('4.2.0')}?{SIGNATURE_LAST.format(QUOTED)}</a></p>"
    await publisher.control("PUT", "steps/displaycertify", {"outcome": "fail", "messages": [quoted]})
    failed = await stage.failure("uncertified", "CreateOfferAndPublish", stage.creation(publisher))
    assert failed == "PublishFailed"


async def refuse_the_token(stage: Stage) -> None:
    """Refuse the worker's token with an answer that repeats it."""
    publisher = await stage.publisher("unauthorized")
    stage.outside.hostile[publisher.name] = lambda request, body: echo(401, request, body)
    failed = await stage.failure("unauthorized", "CreateOfferAndPublish", stage.creation(publisher))
    assert failed == "NotAuthorized"


async def refuse_the_offer(stage: Stage) -> None:
    """Refuse every write with an answer that repeats it."""
    publisher = await stage.publisher("refused")

    def refuse(request: web.Request, body: str) -> web.Response | None:
        return echo(422, request, body) if request.method in {"PUT", "POST"} else None

    stage.outside.hostile[publisher.name] = refuse
    failed = await stage.failure("refused", "CreateOfferAndPublish", stage.creation(publisher))
    assert failed == "ValidationFailed"


async def answer_nonsense(stage: Stage) -> None:
    """Answer with nonsense that contains secrets."""
    publisher = await stage.publisher("nonsense")
    answered: list[str] = []

    def ramble(request: web.Request, body: str) -> web.Response:
        answered.append(request.path)
        return web.Response(text=repeated(request, body))

    stage.outside.hostile[publisher.name] = ramble
    run = await stage.start("nonsense", "CreateOfferAndPublish", stage.creation(publisher))
    await until(lambda: len(answered) > 1, "the worker tries again after an answer that it cannot read")

    async def shows_why() -> bool:
        writes = (await lease_of(stage.client, publisher.name, publisher.name).describe()).raw_description
        return NONSENSE in writes.SerializeToString()

    await until(shows_why, "the internal run shows why its activity is retried")
    stage.places += [place async for place in shown_by_temporal(stage.client)]
    await run.cancel()
    with pytest.raises(WorkflowFailureError):
        await run.result()


async def cancel(stage: Stage) -> None:
    """Cancel a run while it publishes."""
    publisher = await stage.publisher("canceled")
    await publisher.control("PUT", "steps/displaycertify", {"outcome": "never"})
    run = await stage.start("canceled", "CreateOfferAndPublish", stage.creation(publisher))
    await until_progress(run, lambda progress: progress.operation is not None)
    await run.cancel()
    with pytest.raises(WorkflowFailureError) as canceled:
        await run.result()
    assert isinstance(canceled.value.cause, CancelledError)


def echo(status: int, request: web.Request, body: str) -> web.Response:
    return web.json_response({"error": {"code": "Bad", "message": repeated(request, body)}}, status=status)


def repeated(request: web.Request, body: str) -> str:
    """Return a message that repeats the secrets of a request, as a careless service might."""
    authorization = request.headers["Authorization"]
    signed = re.findall(r'https://[^"]+sig=[^"]+', body, re.IGNORECASE)
    return f"Not with {authorization} ({authorization.split()[1]}): {' '.join(signed[:2])} {body[:100]}"


async def read(url: str) -> bytes:
    async with httpx.AsyncClient() as http:
        return (await http.get(url)).raise_for_status().content


Event: TypeAlias = tuple[str, HistoryEvent]
"""An event, and the type of its workflow."""


async def histories(client: Client, codec: EncryptionCodec) -> tuple[Sequence[Event], Sequence[Event]]:
    """Return all events of all runs, as Temporal keeps them and decrypted."""
    sealed = [
        (run.workflow_type, event)
        async for run in client.list_workflows()
        async for event in client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history_events()
    ]
    opened = []
    for workflow, event in sealed:
        copy = HistoryEvent.FromString(event.SerializeToString())
        await decrypt(copy, codec)
        opened.append((workflow, copy))
    return sealed, opened


async def decrypt(message: Message, codec: EncryptionCodec) -> None:
    """Decrypt the payloads in a message in place."""
    if isinstance(message, Payload):
        [plain] = await codec.decode([message])
        message.CopyFrom(plain)
        return
    for described, value in message.ListFields():
        if described.message_type is None:
            continue
        if described.message_type.GetOptions().map_entry:
            parts = [part for part in value.values() if isinstance(part, Message)]
        else:
            parts = [value] if isinstance(value, Message) else list(value)
        for part in parts:
            await decrypt(part, codec)


async def shown_by_temporal(client: Client) -> AsyncIterator[Place]:
    """Yield what Temporal shows about each run besides its history."""
    async for run in client.list_workflows():
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        yield "the list of runs", run.raw_info.SerializeToString()
        yield "describe", (await handle.describe()).raw_description.SerializeToString()
        if not run.id.startswith("internal/"):
            for query in ("progress", "__stack_trace", "__temporal_workflow_metadata"):
                yield f"query {query}", json.dumps(await handle.query(query), default=str).encode()


def in_history(events: Iterable[Event]) -> list[Place]:
    return [(event_of(each), each[1].SerializeToString()) for each in events]


def without_inputs(events: Sequence[Event]) -> Iterator[Event]:
    """Yield the events without the inputs of workflows, child workflows and the activities in `EDITS`."""
    for workflow, event in events:
        copy = HistoryEvent.FromString(event.SerializeToString())
        match copy.WhichOneof("attributes"):
            case "workflow_execution_started_event_attributes":
                copy.workflow_execution_started_event_attributes.ClearField("input")
            case "start_child_workflow_execution_initiated_event_attributes":
                copy.start_child_workflow_execution_initiated_event_attributes.ClearField("input")
            case "activity_task_scheduled_event_attributes":
                scheduled = copy.activity_task_scheduled_event_attributes
                if scheduled.activity_type.name in EDITS:
                    scheduled.ClearField("input")
        yield workflow, copy


def event_of(event: Event) -> str:
    """Return the type of an event with its workflow and activity."""
    kind = EventType.Name(event[1].event_type).removeprefix("EVENT_TYPE_")
    activity = event[1].activity_task_scheduled_event_attributes.activity_type.name
    return f"{kind} of {event[0]}{f' ({activity})' if activity else ''}"


def found(secrets: Mapping[str, str], places: Sequence[Place]) -> set[tuple[str, str]]:
    """Return each secret that was found, with the place that shows it."""
    return {(name, place) for place, text in places for name, secret in secrets.items() if secret.encode() in text}


def planted_and_used(outside: Outside, wire: Wire, sealed: Sequence[Event]) -> Mapping[str, str]:
    """Return the secrets by name, having checked that each was used for its purpose."""
    heads = b"".join(outside.heads)
    basic = base64.b64encode(f"release:{PROXY_PASSWORD}".encode()).decode()
    assert heads.count(b"\r\n\r\n") == heads.count(f"Proxy-Authorization: Basic {basic}\r\n".encode())

    tokens = [
        str(json.loads(each.answer)["access_token"]) for each in outside.of(ENTRA) if b"access_token" in each.answer
    ]
    assert {f"client_secret={CLIENT_SECRET}".encode() in each.body for each in outside.of(ENTRA)} == {True}
    assert tokens
    for token in tokens:
        assert any(f"authorization: Bearer {token}" in each.headers for each in outside.of(MARKETPLACE))

    assert {(each.target, each.headers.count(signature_of(each.body))) for each in outside.of(WEBHOOK)} == {
        (f"/{HOOK_PATH}?code={HOOK_QUERY}", 1)
    }
    assert {f"authorization: Basic {TRACES_TOKEN}" in each.headers for each in outside.of(TRACES)} == {True}
    key_on_the_wire = int("".join(f"{OF_FIVE_BITS.index(character):05b}" for character in API_KEY), 2)
    assert key_on_the_wire.to_bytes(10) in wire.sent
    assert any(ENCODING in event.SerializeToString() for _, event in sealed)

    sent = b"".join(each.body for each in outside.of(MARKETPLACE)).decode()
    answered = b"".join(each.answer for each in outside.of(MARKETPLACE)).decode()
    for secret in (CREATED, CREATED_DATA, LOGO, LEADS, OS_DISK, DATA_DISK):
        assert secret in sent
    assert QUOTED in answered
    assert any(token in answered for token in tokens)
    signatures = re.findall(r"[?&]sig=([^&\"]+)", (sent + answered).replace("\\u0026", "&"))
    # The longest part of each signature that no encoding changes.
    parts = {max(re.findall(r"[A-Za-z0-9]+", unquote(signature)), key=len) for signature in signatures}
    made = {f"signature {part}": part for part in parts if len(part) > SHORTEST_PART and "PLANTED" not in part}
    assert made
    assert re.search(rf"{SIGNED_BY_US}\.vhd\?[^\"]*sig=", sent)

    return (
        made
        | {f"token {number}": token for number, token in enumerate(tokens)}
        | {
            secret: secret
            for secret in (
                *(CLIENT_SECRET, PROXY_PASSWORD, basic, HOOK_PATH, HOOK_QUERY, NOTIFY_SECRET, TRACES_TOKEN, API_KEY),
                *(ENCRYPTION_KEY, base64.b64decode(ENCRYPTION_KEY).decode(), ACCOUNT_KEY, QUOTED, *OF_INPUTS),
            )
        }
    )


def signature_of(body: bytes) -> str:
    return f"x-signature-256: sha256={hmac.new(NOTIFY_SECRET.encode(), body, hashlib.sha256).hexdigest()}"


def assert_worth_reading(stage: Stage, places: Sequence[Place]) -> None:
    """Check that each place shows its usual content, so that searching it proves something."""
    shown: dict[str, bytes] = {}
    for place, text in places:
        shown[place] = shown.get(place, b"") + text
    for place in ("the worker's log", "spans", "the list of runs", "describe", "the summary of a pipeline"):
        for workflow_id in stage.began:
            assert workflow_id.encode() in shown[place], (place, workflow_id)
    for event in ("awaiting_approval", "failed", "live"):
        assert f'"event": "{event}"'.encode() in shown["a notification"]
    assert b"offer_publisher_publications" in shown["/metrics"]
    assert shown["what the command writes"].count(b"NotAuthorized") > 1
    assert shown["what the command writes"].count(b"ended well: live, approved by") > 1
    assert b"waiting_for" in shown["query progress"]
    assert NONSENSE in shown["describe"]
    assert b"the webhook answered 503" in shown["the worker's log"]
