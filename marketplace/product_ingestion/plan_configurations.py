"""The technical configurations of a plan, slot by slot."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from marketplace.errors import PlanMissing, RuleBroken
from marketplace.model import Slot
from marketplace.product_ingestion.configurations import Configuration, HeldImage, configuration
from marketplace.product_ingestion.resources import Tree
from marketplace.wording import MAX_NAME, listed, one_line

Trees = Mapping[Slot, Tree]
"""The resource trees of the slots that are not empty: draft, preview, Production."""


class VersionsHidden(Exception):
    """A list of image versions is empty although the plan was published. Writing it would delete the versions."""


def trees(draft: Tree | None, preview: Tree | None, production: Tree | None) -> Trees:
    """Return the trees of the slots that are not empty."""
    every = {Slot.DRAFT: draft, Slot.PREVIEW: preview, Slot.PRODUCTION: production}
    return {slot: tree for slot, tree in every.items() if tree is not None}


@dataclass(frozen=True)
class PlanConfigurations:
    """A plan's technical configuration in each slot that has one.

    Attributes:
        slots: The configurations by slot; never empty.
    """

    plan_id: str
    slots: Mapping[Slot, Configuration]

    @property
    def base(self) -> Configuration:
        """The configuration that an edit starts from: the draft's, or else the one that was published last."""
        return next(iter(self.slots.values()))

    @cached_property
    def published(self) -> Mapping[Slot, Configuration]:
        """The published configurations. Their image versions never change."""
        return {slot: held for slot, held in self.slots.items() if slot is not Slot.DRAFT}

    @property
    def live(self) -> list[Configuration]:
        """Production's configuration, if any. A draft must keep its versions, but not those of the preview."""
        return [held for slot, held in self.slots.items() if slot is Slot.PRODUCTION]

    def published_image(self, number: str, image_type: str) -> HeldImage | None:
        """Return the published image of a version and image type."""
        found = (held.image(number, image_type) for held in self.published.values())
        return next((each for each in found if each is not None), None)

    def refuse_hidden_versions(self) -> None:
        """Refuse to trust an empty list of image versions of a plan that was published.

        Raises:
            VersionsHidden: A slot has such a list.
        """
        was_published = any(held.shared_from is None for held in self.published.values())
        for slot, held in self.slots.items():
            if not held.versions and held.shared_from is None and (slot is not Slot.DRAFT or was_published):
                raise VersionsHidden(
                    f"plan {self.plan_id} was published, and the {slot} shows no image versions of it; an edit could "
                    "delete them. Check that MARKETPLACE_SCHEMA_VERSION is as new as the offer's resources, and look "
                    "at the plan in Partner Center."
                )


def plan_configurations(slots: Trees, plan_ids: Iterable[str]) -> dict[str, PlanConfigurations]:
    """Return the technical configurations of plans, by plan.

    Raises:
        PlanMissing: There is no such plan.
        RuleBroken: The plan has no technical configuration yet, or shares that of another plan.
        VersionsHidden: A list of image versions is empty although the plan was published.
    """
    wanted = list(dict.fromkeys(plan_ids))
    known = list(dict.fromkeys(plan_id for tree in slots.values() for plan_id in tree.plans))
    missing = [plan_id for plan_id in wanted if plan_id not in known]
    if missing:
        there = f"it has {listed(known)}" if known else "it has no plans at all"
        raise PlanMissing(
            f"The offer has no plan {listed(missing)}; {there}. Correct plan_id, or add the plan to the offer first."
        )
    found: dict[str, PlanConfigurations] = {}
    broken: list[str] = []
    for plan_id in wanted:
        held = {slot: configuration(tree, plan_id) for slot, tree in slots.items()}
        present = {slot: one for slot, one in held.items() if one is not None}
        if not present:
            broken.append(
                f"Plan {plan_id} has no technical configuration yet, which would name its operating system and its "
                "image types. Fill it in in Partner Center, or create it with a configure document, and run again."
            )
            continue
        plan = PlanConfigurations(plan_id, present)
        if plan.base.shared_from is not None:
            base = one_line(plan.base.shared_from, MAX_NAME)
            broken.append(
                f"Plan {plan_id} shares the technical configuration of {base}, which has its images. Give the images "
                f"for plan {base}, or detach {plan_id} from it in Partner Center."
            )
            continue
        plan.refuse_hidden_versions()
        found[plan_id] = plan
    RuleBroken.raise_for(broken)
    return found
