"""Where an image belongs: in which plan's list of image versions, and as which image types."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from marketplace.errors import PlanMissing, RuleBroken
from marketplace.model import Image, Sku
from marketplace.product_ingestion import sources
from marketplace.product_ingestion.configurations import (
    Configuration,
    HeldImage,
    HeldVersion,
    architecture,
    configuration,
    configurations,
    own_word,
)
from marketplace.product_ingestion.resources import Tree
from marketplace.product_ingestion.sources import Source
from marketplace.wording import MAX_NAME, listed, one_line

DRAFT = "draft"
PREVIEW = "preview"
PRODUCTION = "production"

Trees = Mapping[str, Tree]
"""The trees that there are, by the slot's name: the draft first, then the preview, then Production."""


class VersionsHidden(Exception):
    """A list of image versions is empty that cannot be: written back, it would delete what was published."""


def trees(draft: Tree | None, preview: Tree | None, production: Tree | None) -> Trees:
    """Return the trees that there are."""
    every = {DRAFT: draft, PREVIEW: preview, PRODUCTION: production}
    return {name: tree for name, tree in every.items() if tree is not None}


@dataclass(frozen=True)
class Shelf:
    """A plan's technical configuration in each slot that has it.

    Attributes:
        slots: By the slot's name; never empty.
    """

    plan_id: str
    slots: Mapping[str, Configuration]

    @property
    def base(self) -> Configuration:
        """The configuration that an edit starts from: that of the draft, or of what was published last."""
        return next(iter(self.slots.values()))

    @cached_property
    def published(self) -> Mapping[str, Configuration]:
        """The configurations that were published: what they hold never changes."""
        return {name: one for name, one in self.slots.items() if name != DRAFT}

    @property
    def kept(self) -> list[Configuration]:
        """The configurations whose versions no draft may lack; what only the preview holds may be deleted."""
        return [one for name, one in self.slots.items() if name == PRODUCTION]

    def published_image(self, number: str, image_type: str) -> tuple[HeldVersion, HeldImage] | None:
        """Return the image of a version and image type that was published."""
        found = (one.held(number, image_type) for one in self.published.values())
        return next((each for each in found if each is not None), None)

    def refuse_hidden_versions(self) -> None:
        """Refuse to go by a list that is empty although the plan was published.

        Raises:
            VersionsHidden: Says which.
        """
        was_published = any(one.base is None for one in self.published.values())
        for name, one in self.slots.items():
            if not one.versions and one.base is None and (name != DRAFT or was_published):
                raise VersionsHidden(
                    f"plan {self.plan_id} was published, and the {name} shows no image versions of it; an edit could "
                    "delete them. Check that MARKETPLACE_SCHEMA_VERSION is as new as the offer's resources, and look "
                    "at the plan in Partner Center."
                )


@dataclass(frozen=True)
class Placement:
    """An image wanted as one image type.

    Attributes:
        new_sku: The SKU that its plan needs for it.
    """

    image: Image
    image_type: str
    source: Source
    shelf: Shelf
    new_sku: Sku | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Plan, version and image type."""
        return self.shelf.plan_id, self.image.version, self.image_type

    @cached_property
    def present(self) -> tuple[HeldVersion, HeldImage] | None:
        """What the edit's base has in this place."""
        return self.shelf.base.held(self.image.version, self.image_type)

    @cached_property
    def published(self) -> tuple[HeldVersion, HeldImage] | None:
        """What was published in this place."""
        return self.shelf.published_image(self.image.version, self.image_type)


def shelves(slots: Trees, plan_ids: Iterable[str]) -> dict[str, Shelf]:
    """Find the technical configurations of plans.

    Raises:
        PlanMissing: There is no such plan.
        RuleBroken: The plan has no technical configuration yet, or shares that of another one.
        VersionsHidden: A list of image versions is empty that cannot be.
    """
    wanted = list(dict.fromkeys(plan_ids))
    known = list(dict.fromkeys(plan for tree in slots.values() for plan in tree.plans))
    lacking = [plan for plan in wanted if plan not in known]
    if lacking:
        there = f"it has {listed(known)}" if known else "it has no plans at all"
        raise PlanMissing(
            f"The offer has no plan {listed(lacking)}; {there}. Correct plan_id, or add the plan to the offer first."
        )
    found: dict[str, Shelf] = {}
    broken: list[str] = []
    for plan_id in wanted:
        held = {name: configuration(tree, plan_id) for name, tree in slots.items()}
        present = {name: one for name, one in held.items() if one is not None}
        if not present:
            broken.append(
                f"Plan {plan_id} has no technical configuration yet, so nothing tells its operating system and its "
                "image types. Fill it in in Partner Center, or create it with a configure document, and run again."
            )
            continue
        shelf = Shelf(plan_id, present)
        if shelf.base.base is not None:
            base = one_line(shelf.base.base, MAX_NAME)
            broken.append(
                f"Plan {plan_id} shares the technical configuration of {base}, which has its images. Give the images "
                f"for plan {base}, or detach {plan_id} from it in Partner Center."
            )
            continue
        shelf.refuse_hidden_versions()
        found[plan_id] = shelf
    RuleBroken.raise_for(broken)
    return found


def place(slots: Trees, images: Sequence[Image], tenant_id: str | None) -> list[Placement]:
    """Find the image types that images belong in; the same place is taken once.

    Args:
        slots: The trees.
        images: The images wanted.
        tenant_id: The tenant of galleries where an image names none.

    Raises:
        PlanMissing: There is no such plan, or no SKU of that image type.
        RuleBroken: Nothing tells which image type is meant, or one version is asked for with two sources.
        VersionsHidden: A list of image versions is empty that cannot be.
    """
    found = shelves(slots, (image.plan_id for image in images))
    placements: dict[tuple[str, str, str], Placement] = {}
    missing: list[str] = []
    broken: list[str] = []
    for image in images:
        shelf = found[image.plan_id]
        source = sources.wanted(image, tenant_id)
        if source.gallery and not source.tenant:
            broken.append(
                f"Plan {image.plan_id}: version {image.version} is of a gallery, and nothing tells the gallery's "
                "tenant. Give gallery_tenant_id, or set AZURE_TENANT_ID for the worker."
            )
        types, new_sku = _types(image, images, shelf, missing, broken)
        for image_type in types:
            one = Placement(image, image_type, source, shelf, new_sku)
            first = placements.setdefault(one.key, one)
            if not first.source.same(source):
                broken.append(
                    f"Plan {image.plan_id}: version {image.version} is asked for twice as {image_type}, with "
                    "different sources; keep one of them, or say with `generation` which image type each is."
                )
    PlanMissing.raise_for(missing)
    RuleBroken.raise_for([*broken, *_sku_objections(slots, placements.values())])
    return list(placements.values())


def image_types(image: Image, images: Iterable[Image], known: Sequence[str]) -> list[str]:
    """Return the image types that an image is for, in a plan's own words.

    One that names none is for all that the plan has, but for those which another image of the same version names.

    Args:
        image: The image.
        images: All images asked for.
        known: The image types of the plan's SKUs.
    """
    if image.generation is not None:
        return [own_word(image.generation, known) or image.generation]
    beside = [
        own_word(one.generation, known)
        for one in images
        if one.generation is not None and (one.plan_id, one.version) == (image.plan_id, image.version)
    ]
    return [image_type for image_type in known if image_type not in beside]


def _types(
    image: Image, images: Sequence[Image], shelf: Shelf, missing: list[str], broken: list[str]
) -> tuple[list[str], Sku | None]:
    """Return the image types of an image, and the SKU to be added for it."""
    known = shelf.base.image_types
    types = image_types(image, images, known)
    shown = listed(known) or "none"
    if image.generation is not None:
        if types[0] in known:
            return types, None
        if image.sku is not None:
            return [image.generation], image.sku
        missing.append(
            f"Plan {shelf.plan_id} has no SKU of image type {image.generation} for version {image.version}; those of "
            f"its SKUs: {shown}. Correct generation, or give `sku` to add one."
        )
        return [], None
    if not types:
        broken.append(
            f"Plan {shelf.plan_id} has no SKU that would tell the image type of version {image.version}. Give "
            "generation, and `sku` to add one."
        )
    elif len({architecture(one) for one in types}) > 1:
        broken.append(
            f"Plan {shelf.plan_id} has SKUs of several architectures: {shown}. Say with `generation` which one "
            f"version {image.version} is for."
        )
        return [], None
    return types, None


def _sku_objections(slots: Trees, placements: Iterable[Placement]) -> list[str]:
    """Say what speaks against the SKUs to be added: an id is of one SKU only, in the whole offer."""
    taken = {sku.id: one.plan_id for tree in slots.values() for one in configurations(tree) for sku in one.skus}
    asked: dict[tuple[str, str], Sku] = {}
    broken: list[str] = []
    for one in placements:
        sku, plan_id = one.new_sku, one.shelf.plan_id
        if sku is None:
            continue
        first = asked.get((plan_id, one.image_type))
        if first is not None and first != sku:
            broken.append(f"Plan {plan_id}: two SKUs are given for image type {one.image_type}; keep one of them.")
        elif first is None and sku.id in taken:
            broken.append(
                f"Plan {plan_id}: the SKU id {sku.id} is taken, in plan {one_line(taken[sku.id], MAX_NAME)}; give "
                "the new SKU another one."
            )
        asked[plan_id, one.image_type] = sku
        taken[sku.id] = plan_id
    return broken


def by_version(placements: Iterable[Placement]) -> dict[str, list[Placement]]:
    """Sort placements of one plan by their versions."""
    found: dict[str, list[Placement]] = defaultdict(list)
    for one in placements:
        found[one.image.version].append(one)
    return found
