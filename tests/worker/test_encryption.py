"""`PAYLOAD_ENCRYPTION_KEYS`: nobody can read the payloads of a history without a key."""

import base64
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import FixedToken
from sandbox import DEFAULT_TOKEN
from tests.apis.cloud_partner import offer_document
from tests.desk import OFFER, Desk, Recorder, failure_of
from worker.encryption import EncryptionCodec
from worker.registration import create_data_converter, create_worker
from workflows.messages import Progress, PublicationResult

OLD, NEW = b"o" * 32, b"n" * 16
RECORDED = {
    *("seq", "attempt", "activity_id", "activity_type", "complete_time", "backoff"),
    *("original_schedule_time", "activation_index"),
}
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"a secret"')

pytestmark = pytest.mark.only("cloud-partner", "the encryption of payloads does not depend on the API")
_numbers = itertools.count(1)


# The codec


async def test_an_encrypted_payload_decrypts_to_the_original_and_shows_none_of_it() -> None:
    codec = EncryptionCodec({"key": OLD})
    [sealed] = await codec.encode([PLAIN])

    assert b"secret" not in sealed.SerializeToString()
    assert sealed.metadata["encryption-key-id"] == b"key"
    assert await codec.decode([sealed]) == [PLAIN]


async def test_the_same_payload_is_encrypted_to_different_bytes_each_time() -> None:
    one, two = await EncryptionCodec({"key": OLD}).encode([PLAIN, PLAIN])

    assert one.data != two.data


async def test_the_first_key_encrypts_and_all_decrypt() -> None:
    [before] = await EncryptionCodec({"old": OLD}).encode([PLAIN])
    changed = EncryptionCodec({"new": NEW, "old": OLD})
    [after] = await changed.encode([PLAIN])

    assert after.metadata["encryption-key-id"] == b"new"
    assert await changed.decode([before, after]) == [PLAIN, PLAIN]


async def test_a_payload_that_cannot_be_decrypted_is_returned_unchanged() -> None:
    [sealed] = await EncryptionCodec({"key": OLD}).encode([PLAIN])
    changed = Payload(metadata=sealed.metadata, data=sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]))
    short = Payload(metadata=sealed.metadata, data=b"short")

    assert await EncryptionCodec({"other": OLD}).decode([sealed]) == [sealed]
    assert await EncryptionCodec({"key": NEW}).decode([sealed]) == [sealed]
    assert await EncryptionCodec({"key": OLD}).decode([changed, short, PLAIN]) == [changed, short, PLAIN]


# Runs


@pytest.fixture
async def encrypted(
    temporal: WorkflowEnvironment, sandbox_url: str, http: httpx.AsyncClient
) -> AsyncIterator[Client]:
    """A client that encrypts. A worker that encrypts too polls the task queue ``encrypted``."""
    client = with_keys(temporal.client, {"new": NEW, "old": OLD})
    marketplace = CloudPartnerMarketplace(Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=sandbox_url))
    async with create_worker(client, "encrypted", marketplace, Recorder()):
        yield client


def with_keys(client: Client, keys: dict[str, bytes]) -> Client:
    return Client(**client.config() | {"data_converter": create_data_converter(EncryptionCodec(keys))})


Run = WorkflowHandle[Any, PublicationResult]


async def start(client: Client, workflow: str, wanted: object) -> Run:
    return await client.start_workflow(
        workflow,
        wanted,
        id=f"encrypted-{next(_numbers)}",
        task_queue="encrypted",
        result_type=PublicationResult,
        static_summary="a secret summary",
    )


async def test_a_history_shows_no_clear_text(encrypted: Client, temporal: WorkflowEnvironment, desk: Desk) -> None:
    document = offer_document(desk.publisher, ["4.2.0"])
    run = await start(encrypted, "CreateOfferAndPublish", {"offer": document})
    result = await run.result()
    assert result.outcome == "preview"
    assert [str(image) for image in result.images] == ["webstack-lts 4.2.0"]
    assert (await run.query("progress", result_type=Progress)).stage == "preview"

    for workflow_id in (run.id, f"internal/draft/{desk.publisher}/{OFFER}"):
        plain = temporal.client.get_workflow_handle(workflow_id)
        history = (await plain.fetch_history()).to_json()
        events = json.loads(history)["events"]
        assert all(payload["metadata"]["encoding"] == "YmluYXJ5L2VuY3J5cHRlZA==" for payload in payloads(events))
        assert "Webstack" not in history
        assert "c2lnPUlOVkVOVEVE" not in history
        described = await plain.describe()
        assert (
            described.raw_description.execution_config.user_metadata.summary.metadata["encoding"]
            == b"binary/encrypted"
        )


def payloads(value: object) -> list[dict[str, Any]]:
    """Return every payload below ``value`` that may hold text from a user or the marketplace.

    Search attributes are left out, because encrypted ones could not be searched. So is the SDK's own record of a
    local activity, which has its number, name and times.
    """
    if isinstance(value, list):
        return [payload for each in value for payload in payloads(each)]
    if not isinstance(value, dict):
        return []
    if "metadata" in value and "encoding" in value["metadata"]:
        return [value]
    if "markerName" in value:
        record = value["details"]["data"]["payloads"][0]["data"]
        assert set(json.loads(base64.b64decode(record))) <= RECORDED, record
        value = {name: each for name, each in value["details"].items() if name != "data"}
    return [payload for name, each in value.items() if name != "searchAttributes" for payload in payloads(each)]


async def test_a_run_can_be_started_without_a_key(encrypted: Client, desk: Desk) -> None:
    run = await desk.temporal.client.start_workflow(
        "CheckLastOperationStatus",
        {"publisher_id": desk.publisher, "offer_id": OFFER, "bogus": 1},
        id=f"{desk.publisher}/plain",
        task_queue="encrypted",
    )

    assert (await failure_of(run)).type == "InvalidInput"


async def test_an_input_that_the_worker_cannot_decrypt_fails_the_run(encrypted: Client, desk: Desk) -> None:
    stranger = with_keys(desk.temporal.client, {"strange": b"s" * 32})
    error = await failure_of(await start(stranger, "CheckLastOperationStatus", desk.check()))

    assert error.type == "InvalidInput"
    assert "encrypted with a key that the worker does not have" in error.message


async def test_a_failure_message_is_not_encrypted(encrypted: Client, desk: Desk) -> None:
    error = await failure_of(await start(encrypted, "UpdateOfferAndPublish", desk.images("4.2.1")))

    assert error.type == "OfferNotFound"
    assert OFFER in error.message
