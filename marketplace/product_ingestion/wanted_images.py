"""The image types that wanted images belong in."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from marketplace.errors import PlanMissing, RuleBroken
from marketplace.model import Image, Sku
from marketplace.product_ingestion import sources
from marketplace.product_ingestion.configurations import (
    HeldImage,
    architecture,
    configurations,
    matching_image_type,
)
from marketplace.product_ingestion.plan_configurations import PlanConfigurations, Trees, plan_configurations
from marketplace.product_ingestion.sources import Source
from marketplace.wording import MAX_NAME, listed, one_line


@dataclass(frozen=True)
class WantedImage:
    """An image and one of the image types that it is for.

    Attributes:
        new_sku: The SKU that has to be added to the plan for the image type.
    """

    image: Image
    image_type: str
    source: Source
    plan: PlanConfigurations
    new_sku: Sku | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Plan, version and image type."""
        return self.plan.plan_id, self.image.version, self.image_type

    @cached_property
    def held(self) -> HeldImage | None:
        """The image of the same version and image type in the configuration that the edit starts from."""
        return self.plan.base.image(self.image.version, self.image_type)

    @cached_property
    def published(self) -> HeldImage | None:
        """The published image of the same version and image type."""
        return self.plan.published_image(self.image.version, self.image_type)


def wanted_images(slots: Trees, images: Sequence[Image], tenant_id: str | None) -> list[WantedImage]:
    """Find the image types that images belong in. An image that is asked for twice is returned once.

    Args:
        slots: The resource trees.
        images: The images.
        tenant_id: The tenant of galleries, for images that name none.

    Raises:
        PlanMissing: There is no such plan, or it has no SKU of the image type.
        RuleBroken: The image type is unclear, or none is left, or one version is asked for with two sources.
        VersionsHidden: A list of image versions is empty although the plan was published.
    """
    plans = plan_configurations(slots, (image.plan_id for image in images))
    wanted: dict[tuple[str, str, str], WantedImage] = {}
    missing: list[str] = []
    broken: list[str] = []
    for image in images:
        plan = plans[image.plan_id]
        source = sources.wanted(image, tenant_id)
        if source.gallery and not source.tenant:
            broken.append(
                f"Plan {image.plan_id}: version {image.version} comes from a gallery whose tenant is not known. Give "
                "gallery_tenant_id, or set AZURE_TENANT_ID for the worker."
            )
        types, new_sku = _types_and_sku(image, images, plan, missing, broken)
        for image_type in types:
            one = WantedImage(image, image_type, source, plan, new_sku)
            first = wanted.setdefault(one.key, one)
            if not first.source.same(source):
                broken.append(
                    f"Plan {image.plan_id}: version {image.version} is asked for twice as {image_type}, with "
                    "different sources; keep one of them, or say with `generation` which image type each is."
                )
    PlanMissing.raise_for(missing)
    RuleBroken.raise_for([*broken, *_sku_objections(slots, wanted.values())])
    return list(wanted.values())


def image_types(image: Image, images: Iterable[Image], known: Sequence[str]) -> list[str]:
    """Return the image types that an image is for, in the plan's spelling.

    An image without an image type is for all types of the plan, except those that other images of the same version
    name.

    Args:
        image: The image.
        images: All images asked for.
        known: The image types of the plan's SKUs.
    """
    if image.generation is not None:
        return [matching_image_type(image.generation, known) or image.generation]
    taken = [
        matching_image_type(one.generation, known)
        for one in images
        if one.generation is not None and (one.plan_id, one.version) == (image.plan_id, image.version)
    ]
    return [image_type for image_type in known if image_type not in taken]


def by_version(wanted: Iterable[WantedImage]) -> dict[str, list[WantedImage]]:
    """Return the wanted images of one plan by their versions."""
    found: dict[str, list[WantedImage]] = defaultdict(list)
    for one in wanted:
        found[one.image.version].append(one)
    return found


def _types_and_sku(
    image: Image, images: Sequence[Image], plan: PlanConfigurations, missing: list[str], broken: list[str]
) -> tuple[list[str], Sku | None]:
    """Return the image types of an image, and the SKU that has to be added for it."""
    known = plan.base.image_types
    types = image_types(image, images, known)
    names = listed(known) or "none"
    if image.generation is not None:
        if types[0] in known:
            return types, None
        if image.sku is not None:
            return [image.generation], image.sku
        missing.append(
            f"Plan {plan.plan_id} has no SKU of image type {image.generation} for version {image.version}; its SKUs "
            f"have the image types: {names}. Correct generation, or give `sku` to add one."
        )
        return [], None
    if known and not types:
        broken.append(
            f"Plan {plan.plan_id}: an image of version {image.version} has no generation, and other images of that "
            f"version name every image type of the plan: {names}. Leave it out, or say with `generation` which image "
            "type it is for, and give `sku` to add one."
        )
    elif not types:
        broken.append(
            f"Plan {plan.plan_id} has no SKU with an image type for version {image.version}. Give generation, and "
            "`sku` to add one."
        )
    elif len({architecture(one) for one in types}) > 1:
        broken.append(
            f"Plan {plan.plan_id} has SKUs of several architectures: {names}. Say with `generation` which one "
            f"version {image.version} is for."
        )
        return [], None
    return types, None


def _sku_objections(slots: Trees, wanted: Iterable[WantedImage]) -> list[str]:
    """Return a sentence for each new SKU that cannot be added. The ID of a SKU is unique in the whole offer."""
    taken = {sku.id: one.plan_id for tree in slots.values() for one in configurations(tree) for sku in one.skus}
    asked: dict[tuple[str, str], Sku] = {}
    broken: list[str] = []
    for one in wanted:
        sku, plan_id = one.new_sku, one.plan.plan_id
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
