"""A worker finds its search attributes, registers them, or fails and names the command that registers them."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, TLSConfig
from temporalio.testing import WorkflowEnvironment

from worker.registration import create_data_converter
from worker.search_attributes import SearchAttributesError, ensure_search_attributes

NAMES = {"PublisherId", "OfferId", "PublishStage", "ImageVersions"}

_numbers = itertools.count(1)


@pytest.fixture
async def client(server: WorkflowEnvironment) -> Client:
    """Connect to a namespace that no other test uses."""
    namespace = f"namespace-{next(_numbers)}"
    day = Duration()
    day.FromTimedelta(timedelta(days=1))
    await server.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=day)
    )
    client = Client(server.client.service_client, namespace=namespace, data_converter=create_data_converter())
    while True:
        try:
            await held(client)
        except RPCError:
            await asyncio.sleep(0.1)
        else:
            return client


async def held(client: Client) -> dict[str, int]:
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return dict(listed.custom_attributes)


def refuse(monkeypatch: pytest.MonkeyPatch, client: Client, *calls: str) -> None:
    async def refused(_request: object) -> None:
        raise RPCError("Request unauthorized.", RPCStatusCode.PERMISSION_DENIED, b"")

    for call in calls:
        monkeypatch.setattr(client.operator_service, call, refused)


async def test_missing_attributes_are_registered_even_if_another_worker_registers_them_at_the_same_time(
    client: Client,
) -> None:
    await asyncio.gather(*(ensure_search_attributes(client) for _ in range(3)))
    await ensure_search_attributes(client)

    assert set(await held(client)) >= NAMES


async def test_a_refusal_names_the_commands_that_register_the_missing_attributes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={"OfferId": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
        )
    )
    refuse(monkeypatch, client, "add_search_attributes")
    with pytest.raises(SearchAttributesError) as refused:
        await ensure_search_attributes(client)

    create = f"temporal operator search-attribute create --namespace {client.namespace}"
    assert "Request unauthorized" in str(refused.value)
    assert f"{create} --name ImageVersions --type KeywordList" in str(refused.value)
    assert f"{create} --name PublishStage --type Keyword" in str(refused.value)
    assert "--name OfferId" not in str(refused.value)


async def test_a_worker_that_may_not_list_attributes_starts_if_they_are_registered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, client, "list_search_attributes", "add_search_attributes")
    with pytest.raises(SearchAttributesError, match="--name PublisherId"):
        await ensure_search_attributes(client)

    monkeypatch.undo()
    await ensure_search_attributes(client)
    refuse(monkeypatch, client, "list_search_attributes", "add_search_attributes")
    async with asyncio.timeout(20):
        while True:
            try:
                await ensure_search_attributes(client)
            except SearchAttributesError:
                await asyncio.sleep(0.2)
            else:
                break


async def test_an_attribute_with_a_wrong_type_is_named(client: Client) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace, search_attributes={"OfferId": IndexedValueType.INDEXED_VALUE_TYPE_INT}
        )
    )
    with pytest.raises(SearchAttributesError) as wrong:
        await ensure_search_attributes(client)

    assert "another type: OfferId" in str(wrong.value)
    assert "OfferId=Keyword" in str(wrong.value)
    assert "search-attribute remove" in str(wrong.value)


async def test_a_missing_namespace_is_named(server: WorkflowEnvironment) -> None:
    client = Client(server.client.service_client, namespace="nonesuch", data_converter=create_data_converter())
    with pytest.raises(SearchAttributesError, match=r"TEMPORAL_NAMESPACE.*namespace create --namespace nonesuch"):
        await ensure_search_attributes(client)


async def test_on_temporal_cloud_the_advice_uses_tcld(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={"OfferId": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
        )
    )
    refuse(monkeypatch, client, "add_search_attributes")
    config = client.service_client.config
    for address, tls in (
        ("release.f45a2.tmprl.cloud:7233", True),
        ("eu-west-1.aws.api.temporal.io:7233", True),
        ("vpce-0123.example:7233", TLSConfig(domain="release.f45a2.tmprl.cloud")),
    ):
        monkeypatch.setattr(config, "target_host", address)
        monkeypatch.setattr(config, "tls", tls)
        with pytest.raises(SearchAttributesError) as refused:
            await ensure_search_attributes(client)

        command = f"tcld namespace search-attributes add --namespace {client.namespace} --sa PublisherId=Keyword"
        assert command in str(refused.value)
        assert "--sa ImageVersions=KeywordList" in str(refused.value)
        assert "OfferId" not in str(refused.value)
        assert "temporal operator" not in str(refused.value)


async def test_on_temporal_cloud_the_advice_does_not_use_the_operator_commands(
    client: Client, server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace, search_attributes={"OfferId": IndexedValueType.INDEXED_VALUE_TYPE_INT}
        )
    )
    monkeypatch.setattr(client.service_client.config, "target_host", "release.f45a2.tmprl.cloud:7233")
    with pytest.raises(SearchAttributesError, match=r"search-attributes rename .*--existing-name OfferId"):
        await ensure_search_attributes(client)
    nowhere = Client(server.client.service_client, namespace="nonesuch", data_converter=create_data_converter())
    with pytest.raises(SearchAttributesError, match=r"NAME\.ACCOUNT"):
        await ensure_search_attributes(nowhere)
