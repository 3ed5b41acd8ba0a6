"""Registers the search attributes. Without them, runs would hang."""

from collections.abc import Mapping, Sequence

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from workflows import search_attributes

CLOUD = (".tmprl.cloud", ".api.temporal.io")
"""Suffixes of Temporal Cloud's host names. Search attributes are added there by its own tools only."""


class SearchAttributesError(Exception):
    """The namespace lacks search attributes, and the worker could not add them. The message says what to run."""


async def ensure_search_attributes(client: Client) -> None:
    """Register missing search attributes.

    Raises:
        SearchAttributesError: There is no such namespace, the server refuses, or an attribute has another type.
    """
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in search_attributes.ALL}
    held = await _held(client, wanted)
    wrong = [name for name, kind in held.items() if name in wanted and kind != wanted[name]]
    if wrong:
        raise SearchAttributesError(
            f"Namespace {client.namespace} has search attributes of another type: {', '.join(sorted(wrong))}."
            f" Needed are {', '.join(f'{name}={_type(kind)}' for name, kind in wanted.items())}."
            f" {_mend(client, sorted(wrong))}, then start the worker again."
        )
    missing = {name: kind for name, kind in wanted.items() if name not in held}
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # by another worker, a moment ago
            raise SearchAttributesError(
                f"Namespace {client.namespace} lacks search attributes, and this worker could not add them"
                f" ({error.message.rstrip('.')}). {_add(client, missing)}"
            ) from error


async def _held(client: Client, wanted: Mapping[str, "IndexedValueType.ValueType"]) -> dict[str, int]:
    """Return the types of the namespace's attributes. If listing is refused, try each attribute in a search."""
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise SearchAttributesError(
                f"There is no namespace {client.namespace}. Check TEMPORAL_NAMESPACE, {_create(client)}"
            ) from error
        return {name: kind for name, kind in wanted.items() if await _is_searchable(client, name)}
    return dict(listed.custom_attributes)


async def _is_searchable(client: Client, name: str) -> bool:
    """Return whether the namespace knows an attribute. The permission to read runs suffices for this."""
    try:
        await client.count_workflows(f'{name} = "x"')
    except RPCError:
        return False
    return True


def _add(client: Client, missing: Mapping[str, "IndexedValueType.ValueType"]) -> str:
    if _is_cloud(client):
        wanted = " ".join(f"--sa {name}={_type(kind)}" for name, kind in missing.items())
        return (
            "Let an administrator of the namespace add them in Temporal Cloud's UI, or run:"
            f" tcld namespace search-attributes add --namespace {client.namespace} {wanted}"
        )
    commands = " && ".join(
        f"temporal operator search-attribute create --namespace {client.namespace} --name {name} --type {_type(kind)}"
        for name, kind in missing.items()
    )
    return f"Ask somebody with permission to run: {commands}"


def _mend(client: Client, wrong: Sequence[str]) -> str:
    if _is_cloud(client):
        return (
            "After making sure that nobody uses them, give each another name: tcld namespace search-attributes rename"
            f" --namespace {client.namespace} --existing-name {wrong[0]} --new-name Other{wrong[0]}"
        )
    return (
        "After making sure that nobody uses them: temporal operator search-attribute remove"
        f" --namespace {client.namespace} {' '.join(f'--name {name}' for name in wrong)}"
    )


def _create(client: Client) -> str:
    if _is_cloud(client):
        return "whose form is NAME.ACCOUNT, or create it in Temporal Cloud's UI"
    return f"or create it: temporal operator namespace create --namespace {client.namespace} --retention 720h"


def _is_cloud(client: Client) -> bool:
    """Return whether the server is Temporal Cloud, by its address or by the name in its certificate."""
    config = client.service_client.config
    server = config.tls.domain if isinstance(config.tls, TLSConfig) else None
    return any(name.endswith(CLOUD) for name in (config.target_host.rpartition(":")[0], server or ""))


def _type(kind: "IndexedValueType.ValueType") -> str:
    words = IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)
