"""Makes sure that the server knows the search attributes; runs on a server without them would hang."""

from collections.abc import Mapping

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows import search_attributes


class SearchAttributesError(Exception):
    """The namespace lacks what runs need, and the worker may not add it; says what to run."""


async def ensure_search_attributes(client: Client) -> None:
    """Register what is missing.

    Raises:
        SearchAttributesError: There is no such namespace, the server refuses, or it has an attribute of
            another type.
    """
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in search_attributes.ALL}
    held = await _held(client, wanted)
    wrong = [name for name, kind in held.items() if name in wanted and kind != wanted[name]]
    if wrong:
        raise SearchAttributesError(
            f"Namespace {client.namespace} has search attributes of another type: {', '.join(sorted(wrong))}."
            f" Needed are {', '.join(f'{name}={_type(kind)}' for name, kind in wanted.items())}. After making sure"
            f" that nobody uses them: temporal operator search-attribute remove --namespace {client.namespace}"
            f" {' '.join(f'--name {name}' for name in sorted(wrong))}, then start the worker again."
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
            raise _refused(client.namespace, missing, error) from error


async def _held(client: Client, wanted: Mapping[str, "IndexedValueType.ValueType"]) -> dict[str, int]:
    """Return the types of the namespace's attributes; where that is refused, of those that can be searched by."""
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise SearchAttributesError(
                f"There is no namespace {client.namespace}. Check TEMPORAL_NAMESPACE, or create it:"
                f" temporal operator namespace create --namespace {client.namespace} --retention 720h"
            ) from error
        return {name: kind for name, kind in wanted.items() if await _is_searchable(client, name)}
    return dict(listed.custom_attributes)


async def _is_searchable(client: Client, name: str) -> bool:
    """Tell whether the namespace knows an attribute: who may read runs may ask this, where listing is refused."""
    try:
        await client.count_workflows(f'{name} = "x"')
    except RPCError:
        return False
    return True


def _refused(
    namespace: str, missing: Mapping[str, "IndexedValueType.ValueType"], error: RPCError
) -> SearchAttributesError:
    commands = " && ".join(
        f"temporal operator search-attribute create --namespace {namespace} --name {name} --type {_type(kind)}"
        for name, kind in missing.items()
    )
    return SearchAttributesError(
        f"Namespace {namespace} lacks search attributes, and this worker may not add them"
        f" ({error.message.rstrip('.')}). Let somebody who may run: {commands}"
    )


def _type(kind: "IndexedValueType.ValueType") -> str:
    words = IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)
