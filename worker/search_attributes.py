"""Makes sure that the server knows the search attributes; runs on a server without them would hang."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from workflows import search_attributes


class SearchAttributesError(Exception):
    """The server lacks search attributes and does not let the worker add them; says what to run."""


async def ensure_search_attributes(client: Client) -> None:
    """Register what is missing.

    Raises:
        SearchAttributesError: The server refuses, or has one of another type.
    """
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in search_attributes.ALL}
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        held = dict(listed.custom_attributes)
        missing = {name: kind for name, kind in wanted.items() if name not in held}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        raise SearchAttributesError(
            f"The search attributes cannot be registered in namespace {client.namespace}: {error.message}."
            f" Let somebody who may run: {_commands(client.namespace, wanted)}"
        ) from error
    wrong = [name for name, kind in held.items() if name in wanted and kind != wanted[name]]
    if wrong:
        raise SearchAttributesError(
            f"Namespace {client.namespace} has search attributes of another type: {', '.join(sorted(wrong))}."
            f" Needed are: {', '.join(f'{name}={_type(kind)}' for name, kind in wanted.items())}"
        )


def _commands(namespace: str, wanted: dict[str, "IndexedValueType.ValueType"]) -> str:
    return " && ".join(
        f"temporal operator search-attribute create --namespace {namespace} --name {name} --type {_type(kind)}"
        for name, kind in wanted.items()
    )


def _type(kind: "IndexedValueType.ValueType") -> str:
    words = IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)
