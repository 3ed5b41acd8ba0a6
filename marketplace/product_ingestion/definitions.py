"""The definition of a whole offer: a ``configure`` document of the API, sent as the user wrote it.

Only the schema of the document, if it is missing, and the SAS of disks are added.

A definition can create an offer or change one. Resources that it does not name stay as they are. A technical
configuration replaces the existing one with all its image versions.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from marketplace import sas
from marketplace.disks import sas_problems, with_http_url
from marketplace.errors import RuleBroken
from marketplace.json_text import Splice, apply, change_members, parse, set_value, value_text
from marketplace.model import Slot
from marketplace.product_ingestion.configurations import (
    Configuration,
    VersionEntry,
    VersionImage,
    configuration,
    named,
)
from marketplace.product_ingestion.plan_configurations import PlanConfigurations, Trees
from marketplace.product_ingestion.references import PRODUCT, SUBMISSION, external_id, schema
from marketplace.product_ingestion.resources import Resource, Tree, resources_in
from marketplace.versions import sort_key
from marketplace.wording import MAX_NAME, bounded, listed, one_line

CONFIGURE_SCHEMA = schema("configure", "2022-03-01-preview2")

_IGNORED_REFERENCES = frozenset({"product", "listing"})
"""References that are the same in every resource of an offer, or that repeat the resource's ID."""

_PLAN_REFERENCES = frozenset({"plan", "basePlan"})
_LEADS = "customer-leads"


def read(text: str, offer_id: str) -> Tree:
    """Return the resources of a definition.

    Raises:
        RuleBroken: The text is not a ``configure`` document of this offer, or it asks for a publish.
    """
    try:
        resources = resources_in(text)
    except ValueError as error:
        raise RuleBroken(f"configure: it cannot be sent: {error}. Correct it.") from None
    if any(one.kind == SUBMISSION for one in resources):
        raise RuleBroken("configure.resources: leave the submission out; the run publishes by itself.")
    products = [one for one in resources if one.kind == PRODUCT]
    names = [external_id(node.value) for one in products if (node := one.node.get("identity")) is not None]
    if len(products) != 1 or names != [offer_id]:
        raise RuleBroken(
            f"configure.resources: exactly one `product` resource is needed, with the identity.externalId {offer_id}."
        )
    return Tree(resources)


def resources_of(text: str) -> Tree:
    """Return the resources of a definition that `read` has accepted before."""
    return Tree(resources_in(text))


def completed(text: str) -> str:
    """Return a definition with the schema that every document needs."""
    root = parse(text)
    if root.get("$schema") is not None:
        return text
    return apply(text, change_members(root, add=[("$schema", value_text(CONFIGURE_SCHEMA))]))


def refuse_left_out(definition: Tree, slots: Trees) -> list[str]:
    """Refuse a definition without a version that was published. The marketplace would delete the version.

    Returns:
        Warnings about versions that are left out and may be, since they are only in the draft.

    Raises:
        RuleBroken: A published version is left out. The error names each of them.
        VersionsHidden: A list of image versions is empty although the plan was published.
    """
    broken: list[str] = []
    warnings: list[str] = []
    for one in _configurations(definition, slots):
        kept = {sort_key(version.number) for version in one.versions}
        found = {slot: configuration(tree, one.plan_id) for slot, tree in slots.items()}
        plan = PlanConfigurations(one.plan_id, {slot: held for slot, held in found.items() if held is not None})
        plan.refuse_hidden_versions()
        published: set[str] = set()
        for slot in (Slot.PRODUCTION, Slot.PREVIEW, Slot.DRAFT):
            held = plan.slots.get(slot)
            there = [version.number for version in (held.versions if held is not None else ()) if version.is_there]
            missing = [number for number in there if sort_key(number) not in kept and number not in published]
            if slot is not Slot.DRAFT:
                published.update(missing)
                broken += [_left_out(one.plan_id, number, slot) for number in missing]
            elif missing:
                warnings.append(f"Plan {one.plan_id}: {listed(missing)} of the draft is left out, and is deleted.")
    RuleBroken.raise_for(broken)
    return bounded(warnings)


def _left_out(plan_id: str, number: str, slot: Slot) -> str:
    state = "deprecated" if slot is Slot.PRODUCTION else "deleted"
    return (
        f"configure.resources: plan {plan_id} leaves out version {one_line(number, MAX_NAME)} of the {slot}."
        f' Add it, with "lifecycleState": "{state}" if it should go.'
    )


def with_signed_disks(text: str, definition: Tree, slots: Trees, sign: Callable[[str], str | None]) -> str:
    """Add a SAS to the disks that have none. The rest of the document stays as it is, byte for byte.

    A disk of an image that a slot holds with the same source gets the URL from there. The image may be published, and
    its blob deleted.

    Args:
        text: The definition.
        definition: Its resources, as `read` returned them.
        slots: The resource trees.
        sign: Returns a URL with a SAS, ``None`` where it cannot sign.
    """
    splices: list[Splice] = []
    for one, version, image in _images(definition, slots):
        there = _settled(slots, one, version, image)
        texts = {disk.place: disk.node.text for disk in there.source.disks if disk.node} if there is not None else {}
        for disk in with_http_url(image.source.disks):
            if disk.node is None or not sas.unsigned(disk.url):
                continue
            if there is not None:
                splices.append(set_value(disk.node, texts[disk.place]))
            elif signed := sign(disk.url):
                splices.append(set_value(disk.node, value_text(signed)))
    return apply(text, splices)


def check_disks(definition: Tree, slots: Trees, now: datetime) -> list[str]:
    """Refuse disks that the service could not read, except those of images that a slot holds with the same source.

    Args:
        definition: The resources as they will be sent.
        slots: The resource trees.
        now: The present time, with a time zone.

    Returns:
        Warnings for a person. Each names plan and version.

    Raises:
        RuleBroken: A disk has no SAS, or one that does not work.
    """
    errors: list[str] = []
    warnings: list[str] = []
    for one, version, image in _images(definition, slots):
        if _settled(slots, one, version, image) is not None:
            continue
        name = one_line(str(named(one.plan_id, version.number, image.image_type)), 2 * MAX_NAME)
        found = sas_problems(name, with_http_url(image.source.disks), now)
        errors += found.errors
        warnings += found.warnings
    RuleBroken.raise_for(errors)
    return bounded(warnings)


def says_the_same(definition: Tree, draft: Tree) -> bool:
    """Return whether a draft has the content of a definition, apart from what the service changes.

    Every member of every resource must be there with an equal value. The draft may have more members and resources,
    but no more items in an array. References are compared by what they name. Secrets are ignored.
    """
    return all(
        any(_same_resource(ours, definition, theirs, draft) for theirs in draft.resources if theirs.kind == ours.kind)
        for ours in definition.resources
    )


def _same_resource(ours: Resource, definition: Tree, theirs: Resource, draft: Tree) -> bool:
    if ours.kind == _LEADS:
        return True
    for name, value in ours.members.items():
        if name in _IGNORED_REFERENCES:
            continue
        if name in _PLAN_REFERENCES:
            here = definition.plan_named(_decoded(ours, name)) or draft.plan_named(_decoded(ours, name))
            if here != draft.plan_named(_decoded(theirs, name)):
                return False
        elif name not in theirs.members or not _same(
            _lower_type(name, value), _lower_type(name, theirs.members[name])
        ):
            return False
    return True


def _lower_type(name: str, value: Any) -> Any:
    """Return a member's value. Asset types are lower-cased, since the service returns them in either letter case."""
    return value.casefold() if name == "type" and isinstance(value, str) else value


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(name in theirs and _same(value, theirs[name]) for name, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(any(_same(one, other) for other in theirs) for one in ours)
    return type(ours) is type(theirs) and bool(ours == theirs)


def _decoded(resource: Resource, member: str) -> Any:
    node = resource.node.get(member)
    return node.value if node is not None else None


def _configurations(definition: Tree, slots: Trees) -> Iterator[Configuration]:
    """Yield the technical configurations in a definition whose plans are known."""
    for resource in definition.resources:
        if not resource.is_configuration:
            continue
        reference = _decoded(resource, "plan")
        names = (tree.plan_named(reference) for tree in [definition, *slots.values()])
        plan_id = definition.plan_of(resource) or next(filter(None, names), None)
        if plan_id is not None:
            yield Configuration(plan_id, resource, None)


def _images(definition: Tree, slots: Trees) -> Iterator[tuple[Configuration, VersionEntry, VersionImage]]:
    for one in _configurations(definition, slots):
        for version in one.versions:
            for image in version.images if version.is_there else ():
                yield one, version, image


def _settled(slots: Trees, one: Configuration, version: VersionEntry, image: VersionImage) -> VersionImage | None:
    """Return the image that the draft, or else a published slot, holds with the same source."""
    for tree in slots.values():
        held = configuration(tree, one.plan_id)
        found = held.image(version.number, image.image_type) if held is not None else None
        if found is not None and found.image.source.same(image.source):
            return found.image
    return None
