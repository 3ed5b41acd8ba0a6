"""The body of `configure`: reads its resources and gives them their durable IDs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from sandbox.artifacts import STORAGE, stored_address
from sandbox.product_ingestion.errors import BUSINESS_ERROR, SCHEMA_ERROR, bad_request, error_of
from sandbox.product_ingestion.ids import (
    DURABLE,
    PLAN_EXTERNAL_ID,
    durable_id,
    external_id_in,
    external_id_of,
    plan_guid,
)
from sandbox.product_ingestion.resources import Resource
from sandbox.product_ingestion.schema_rules import problems_with_resource
from sandbox.product_ingestion.schemas import (
    KNOWN,
    RETIRED_HOST,
    TECHNICAL_CONFIGURATIONS,
    Schema,
    is_newer,
    schema_order,
)
from sandbox.refusals import Detail
from sandbox.spelled_json import members_of, parse, parse_plain
from sandbox.switches import Switches


@dataclass(frozen=True)
class SentResource:
    """A resource as it was sent, as plain values and as it was spelled."""

    plain: dict[str, Any]
    spelled: dict[str, Any]
    schema: Schema


@dataclass
class Prepared:
    """The resources of a request with their durable IDs, and what is wrong with them."""

    resources: list[Resource] = field(default_factory=list)
    submission: SentResource | None = None
    problems: list[Detail] = field(default_factory=list)


def read_plain(body: bytes) -> object:
    """Return a body as plain values; None if it is no JSON."""
    try:
        return parse_plain(body.decode())
    except (ValueError, RecursionError):
        return None


def read_resources(body: bytes, ceiling: str | None, switches: Switches) -> list[SentResource]:
    """Return the resources of a body. Refuse a body that is no configure document, or has unknown schemas."""
    content = members_of(read_plain(body))
    resources = content.get("resources")
    if not isinstance(resources, list) or not resources or not all(isinstance(each, dict) for each in resources):
        raise bad_request("The body must be an object with 'resources', an array of at least one object.")
    _schema_of(content, ceiling, switches, "configure")
    spelled = members_of(parse(body.decode()))["resources"]
    return [
        SentResource(plain, cast("dict[str, Any]", written), _schema_of(plain, ceiling, switches))
        for plain, written in zip(resources, spelled, strict=True)
    ]


def _schema_of(
    resource: dict[str, Any], ceiling: str | None, switches: Switches, wanted: str | None = None
) -> Schema:
    address = resource.get("$schema")
    schema = Schema.of(address)
    if schema is None or wanted not in (None, schema.type):
        raise _schema_error(f"The '$schema' {address!r} is not valid.")
    if schema.host == RETIRED_HOST:
        raise _schema_error(f"The schema could not be found: the host of {address} is no longer supported.")
    if not schema.known:
        raise _schema_error(f"The schema could not be found: {address}.")
    if ceiling and wanted is None and is_newer(schema.version, ceiling):
        raise _schema_error(f"The schema {address} is newer than the $version {ceiling} of the request.")
    newest = schema.type in TECHNICAL_CONFIGURATIONS and switches.configuration_schema == "newest"
    if newest and schema.version != KNOWN[schema.type][-1]:
        raise _schema_error(f"The schema {address} is no longer supported; use {KNOWN[schema.type][-1]}.")
    return schema


def _schema_error(message: str) -> Exception:
    return bad_request(message, [error_of(SCHEMA_ERROR, message)])


def checked_ceiling(version: str | None, switches: Switches) -> str | None:
    """Return the `$version` of a call; refuse the call if it is missing or invalid."""
    if version is None and switches.schema_version_required:
        raise bad_request("The query parameter '$version' is required.")
    if version is not None and schema_order(version) is None:
        raise bad_request(f"The $version '{version}' is not valid.")
    return version


class _References:
    """Resolves the references of a request to products and plans."""

    def __init__(self, product: str, offer_id: str, draft: Sequence[Resource], sent: Sequence[SentResource]) -> None:
        self._product, self._offer_id = product, offer_id
        self._ids = {resource.id for resource in draft}
        self._plans: dict[str, str] = {}
        self._named: dict[str, str] = {}
        for resource in draft:
            self._add(resource.type, resource.plain)
        for each in sent:
            self._add(each.schema.type, each.plain)

    def _add(self, kind: str, resource: dict[str, Any]) -> None:
        durable = None
        if kind == "product":
            durable = f"product/{self._product}"
        elif kind == "plan":
            external_id = external_id_of(resource)
            durable = f"plan/{self._product}/{plan_guid(self._product, external_id or '?')}"
            self._plans[external_id or "?"] = durable
        if durable and isinstance(resource.get("resourceName"), str):
            self._named[resource["resourceName"]] = durable

    def product(self, reference: object) -> str | None:
        """Return the durable ID of the product if the reference means it, else None."""
        durable = f"product/{self._product}"
        meant = (
            reference == durable
            or external_id_in(reference) == self._offer_id
            or self._named.get(str(members_of(reference).get("resourceName"))) == durable
        )
        return durable if meant else None

    def plan(self, reference: object) -> str | None:
        """Return the durable ID of the plan that the reference means, or None."""
        if isinstance(reference, str):
            return reference if reference in self._plans.values() else None
        external_id = external_id_in(reference)
        if external_id is not None:
            return self._plans.get(external_id)
        return self._named.get(str(members_of(reference).get("resourceName")))

    def holds(self, durable: str) -> bool:
        """Return whether the draft has a resource with that ID."""
        return durable in self._ids


def prepare(
    sent: Sequence[SentResource],
    product: str,
    offer_id: str,
    draft: Sequence[Resource],
    now: datetime,
    switches: Switches,
) -> Prepared:
    """Give the resources of a request their durable IDs. Collect what is wrong with each."""
    references, prepared = _References(product, offer_id, draft, sent), Prepared()
    for each in sent:
        durable, problems = _identify(each, references, product, switches)
        problems += [
            Detail(SCHEMA_ERROR, problem, durable) for problem in problems_with_resource(each.plain, each.schema)
        ]
        if each.schema.type == "submission":
            if prepared.submission is not None:
                problems.append(Detail("invalidRequest", "A request can hold one submission.", durable))
            prepared.submission = each
        elif not problems:
            resource = _kept(each, durable, references, product)
            problems += list(_problems_with_asset(resource, now))
            prepared.resources.append(resource)
        prepared.problems += problems
    seen = [resource.id for resource in prepared.resources]
    for twice in {durable for durable in seen if seen.count(durable) > 1}:
        prepared.problems.append(Detail("invalidResource", f"The resource {twice} occurs twice.", twice))
    return prepared


def _identify(
    each: SentResource, references: _References, product: str, switches: Switches
) -> tuple[str, list[Detail]]:
    kind, resource = each.schema.type, each.plain
    problems: list[Detail] = []
    plan = None
    if kind == "plan":
        external_id = external_id_of(resource)
        if external_id is None or not PLAN_EXTERNAL_ID.fullmatch(external_id):
            return f"plan/{product}", [Detail(SCHEMA_ERROR, "The plan needs a valid identity.externalId.", "plan")]
        plan = plan_guid(product, external_id)
    elif "plan" in resource:
        meant = references.plan(resource["plan"])
        plan = meant.split("/")[2] if meant else "unknown"
        if meant is None:
            problems.append(
                Detail("resourceNotFound", f"There is no plan {resource['plan']!r}.", f"{kind}/{product}")
            )
    durable = durable_id(kind, product, plan, resource)
    if kind != "product" and "product" in resource and references.product(resource["product"]) is None:
        problems.append(
            Detail("resourceNotFound", f"There is no product {resource['product']!r} in the request.", durable)
        )
    given = resource.get("id")
    if kind == "submission" or given is None or problems:
        return durable, problems
    if kind in TECHNICAL_CONFIGURATIONS and switches.configuration_id == "refused":
        problems.append(Detail("invalidResource", "Invalid resource: identify it by product and plan.", durable))
    if not isinstance(given, str) or not DURABLE.fullmatch(given):
        problems.append(Detail("invalidId", f"The id {given!r} is not valid.", durable))
    elif given != durable and not (references.holds(given) and given.startswith(f"{kind}/{product}")):
        problems.append(Detail("resourceNotFound", f"There is no resource {given!r}.", durable))
    else:
        durable = given
    return durable, problems


def _kept(each: SentResource, durable: str, references: _References, product: str) -> Resource:
    """Return a resource as it is stored: with durable IDs as references."""
    plain = {name: value for name, value in each.plain.items() if name not in _NOT_KEPT}
    spelled = {name: value for name, value in each.spelled.items() if name not in _NOT_KEPT}
    resolved = {
        "product": references.product(plain.get("product")),
        "plan": references.plan(plain.get("plan")),
        "basePlan": references.plan(plain.get("basePlan")),
    }
    if "listing" in plain:
        language = str(plain.get("languageId", "en-us"))
        resolved["listing"] = durable_id("listing", product, None, {"languageId": language})
    if plain.get("url") is not None and each.schema.type.startswith("listing-"):
        resolved["url"] = stored_address(str(plain["url"]), "assets")
    replaced = {name: value for name, value in resolved.items() if name in plain and value is not None}
    plain, spelled = plain | replaced, spelled | replaced
    schema = {"$schema": plain["$schema"], "id": durable}
    return Resource(schema | plain | {"id": durable}, schema | spelled | {"id": durable})


_NOT_KEPT = ("resourceName", "validations")


def _problems_with_asset(resource: Resource, now: datetime) -> Iterator[Detail]:
    address = resource.plain.get("url")
    if resource.type != "listing-asset" or not isinstance(address, str):
        return
    if not address.startswith("https://"):
        yield Detail(SCHEMA_ERROR, f"The url {address!r} is not valid.", resource.id)
    expires = parse_qs(urlsplit(address).query).get("se")
    if address.startswith(STORAGE) and expires:
        moment = datetime.fromisoformat(expires[0])
        if moment.replace(tzinfo=moment.tzinfo or UTC) <= now:
            yield Detail(BUSINESS_ERROR, "The url of the asset has expired.", resource.id)
