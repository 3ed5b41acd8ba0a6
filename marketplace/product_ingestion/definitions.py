"""A whole offer as a person defines it: the API's own ``configure`` document, sent to the letter.

All that is added are the schema, where it names none, and a SAS for disks without one.

It may create an offer, or change one: what it does not name stays. A technical configuration replaces the one that is
there, with all its image versions.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from marketplace import sas
from marketplace.disks import sas_problems, with_http_url
from marketplace.errors import RuleBroken
from marketplace.json_text import Splice, apply, change_members, parse, set_value, written
from marketplace.product_ingestion.configurations import Configuration, HeldImage, HeldVersion, configuration, named
from marketplace.product_ingestion.placements import DRAFT, PREVIEW, PRODUCTION, Shelf, Trees
from marketplace.product_ingestion.references import PRODUCT, SUBMISSION, external_id, schema
from marketplace.product_ingestion.resources import Resource, Tree, listed
from marketplace.versions import sort_key
from marketplace.wording import MAX_NAME, bounded, one_line
from marketplace.wording import listed as shown_names

CONFIGURE_SCHEMA = schema("configure", "2022-03-01-preview2")

_ELSEWHERE = frozenset({"product", "listing"})
"""References that every resource of an offer has alike, or that say nothing which its id does not."""

_PLANS = frozenset({"plan", "basePlan"})
_SECRETIVE = "customer-leads"


def read(text: str, offer_id: str) -> Tree:
    """Return the resources of a definition.

    Raises:
        RuleBroken: It is no ``configure`` document, not of this offer, or asks for a publish.
    """
    try:
        resources = listed(text)
    except ValueError as error:
        raise RuleBroken(f"configure: it cannot be sent: {error}") from None
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
    """Return the resources of a definition that was read before."""
    return Tree(listed(text))


def completed(text: str) -> str:
    """Return a definition with the schema that every document needs, where it names none."""
    root = parse(text)
    if root.get("$schema") is not None:
        return text
    return apply(text, change_members(root, add=[("$schema", written(CONFIGURE_SCHEMA))]))


def refuse_left_out(definition: Tree, slots: Trees) -> list[str]:
    """Refuse a definition that leaves out a version which was published: the marketplace takes it for deleted.

    Returns:
        Sentences for a person on versions that are left out and may be: they are in the draft only.

    Raises:
        RuleBroken: Names each version that was published.
        VersionsHidden: A list of image versions is empty that cannot be.
    """
    broken: list[str] = []
    warnings: list[str] = []
    for one in _configurations(definition, slots):
        kept = {sort_key(version.number) for version in one.versions}
        found = {name: configuration(tree, one.plan_id) for name, tree in slots.items()}
        shelf = Shelf(one.plan_id, {name: held for name, held in found.items() if held is not None})
        shelf.refuse_hidden_versions()
        published: set[str] = set()
        for name in (PRODUCTION, PREVIEW, DRAFT):
            held = shelf.slots.get(name)
            there = [version.number for version in (held.versions if held is not None else ()) if version.is_there]
            lacking = [number for number in there if sort_key(number) not in kept and number not in published]
            if name != DRAFT:
                published.update(lacking)
                broken += [_left_out(one.plan_id, number, name) for number in lacking]
            elif lacking:
                warnings.append(
                    f"Plan {one.plan_id}: {shown_names(lacking)} of the draft is left out, and is deleted."
                )
    RuleBroken.raise_for(broken)
    return bounded(warnings)


def _left_out(plan_id: str, number: str, slot: str) -> str:
    state = "deprecated" if slot == PRODUCTION else "deleted"
    return (
        f"configure.resources: plan {plan_id} leaves out version {one_line(number, MAX_NAME)} of the {slot}."
        f' Name it, with "lifecycleState": "{state}" if it should go.'
    )


def with_signed_disks(text: str, definition: Tree, slots: Trees, sign: Callable[[str], str | None]) -> str:
    """Give the disks without a SAS one; everything else comes back byte for byte.

    A disk of an image that the draft holds with the same source gets its URL as it is written there: the image may be
    published, and its blob deleted.

    Args:
        text: The definition.
        definition: Its resources, as `read` returned them.
        slots: The trees that there are.
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
                splices.append(set_value(disk.node, written(signed)))
    return apply(text, splices)


def check_disks(definition: Tree, slots: Trees, now: datetime) -> list[str]:
    """Refuse disks that the service could not read, but for those of images that the draft holds alike.

    Args:
        definition: The resources as they will be sent.
        slots: The trees that there are.
        now: The present time, with a time zone.

    Returns:
        Sentences for a person, each naming plan and version.

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
    """Return whether a draft says what a definition says, as far as the service keeps what it is told.

    Every member of every resource has to be there with an equal value; the draft may have further members and further
    resources, but no further items of an array. References count by what they name, secrets not at all.
    """
    return all(
        any(_same_resource(ours, definition, theirs, draft) for theirs in draft.resources if theirs.kind == ours.kind)
        for ours in definition.resources
    )


def _same_resource(ours: Resource, definition: Tree, theirs: Resource, draft: Tree) -> bool:
    if ours.kind == _SECRETIVE:
        return True
    for name, value in ours.members.items():
        if name in _ELSEWHERE:
            continue
        if name in _PLANS:
            here = definition.plan_named(_written(ours, name)) or draft.plan_named(_written(ours, name))
            if here != draft.plan_named(_written(theirs, name)):
                return False
        elif name not in theirs.members or not _same(_word(name, value), _word(name, theirs.members[name])):
            return False
    return True


def _word(name: str, value: Any) -> Any:
    """Return a member's value; the service tells the types of assets in either letter case."""
    return value.casefold() if name == "type" and isinstance(value, str) else value


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(name in theirs and _same(value, theirs[name]) for name, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(any(_same(one, other) for other in theirs) for one in ours)
    return type(ours) is type(theirs) and bool(ours == theirs)


def _written(resource: Resource, member: str) -> Any:
    node = resource.node.get(member)
    return node.value if node is not None else None


def _configurations(definition: Tree, slots: Trees) -> Iterator[Configuration]:
    """Yield the technical configurations of a definition whose plan is known."""
    for resource in definition.resources:
        if not resource.is_configuration:
            continue
        reference = _written(resource, "plan")
        named_by = [definition, *slots.values()]
        plan = definition.plan_of(resource) or next(
            filter(None, (tree.plan_named(reference) for tree in named_by)), None
        )
        if plan is not None:
            yield Configuration(plan, resource, None)


def _images(definition: Tree, slots: Trees) -> Iterator[tuple[Configuration, HeldVersion, HeldImage]]:
    for one in _configurations(definition, slots):
        for version in one.versions:
            for image in version.images if version.is_there else ():
                yield one, version, image


def _settled(
    slots: Mapping[str, Tree], one: Configuration, version: HeldVersion, image: HeldImage
) -> HeldImage | None:
    """Return the image as the draft, or else what was published, holds it with the same source."""
    for tree in slots.values():
        held = configuration(tree, one.plan_id)
        found = held.held(version.number, image.image_type) if held is not None else None
        if found is not None and found[1].source.same(image.source):
            return found[1]
    return None
