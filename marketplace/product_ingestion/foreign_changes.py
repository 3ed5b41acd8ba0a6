"""Unpublished changes by others in the draft, which a publish would include.

The draft is compared with what was published last. Image versions are left out, since the approval shows them. Other
differences are left out because a person would not call them changes:

* the order of resources, their schemas, and the signed URLs of assets
* submissions
* a capability that the draft wrongly shows as off
* a SKU that was added together with image versions of a new image type
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from marketplace.errors import ForeignChanges
from marketplace.model import ImageVersion, Scope
from marketplace.product_ingestion.configurations import Configuration, configuration
from marketplace.product_ingestion.edits import PERMANENT_CAPABILITIES
from marketplace.product_ingestion.references import PRODUCT, PROPERTY
from marketplace.product_ingestion.resources import VERSIONS, Resource, Tree, differing, with_members
from marketplace.wording import one_line

MAX_RESOURCE_NAME = 300


def refuse(draft: Tree | None, published: Tree | None, scope: Scope, plans: Collection[str]) -> None:
    """Refuse to publish changes by others.

    Args:
        draft: The draft.
        published: The preview, or else what is live, ``None`` if nothing was published yet.
        scope: What the publish includes.
        plans: The plans that a modular publish includes.

    Raises:
        ForeignChanges: A publish would include such changes. The error names the resources.
    """
    ForeignChanges.raise_for(
        f"{change}. It was never published. Publish or revert it in Partner Center, or set "
        '"foreign_edits": "include" to publish it too.'
        for change in changes_by_others(draft, published, scope, plans)
    )


def refuse_gone(versions: Iterable[ImageVersion]) -> None:
    """Refuse to publish a draft without image versions that are live.

    Raises:
        ForeignChanges: There are such versions. The error names them.
    """
    ForeignChanges.raise_for(
        f"{version} is live, and gone from the draft. Put it back in Partner Center, or set "
        '"foreign_edits": "include" to publish the draft without it.'
        for version in versions
    )


def changes_by_others(draft: Tree | None, published: Tree | None, scope: Scope, plans: Collection[str]) -> list[str]:
    """Return a sentence without its full stop for every resource that others changed."""
    if draft is None or published is None:
        return []
    sentences: list[str] = []
    for resource_id in sorted({*draft.by_id, *published.by_id}):
        ours, theirs = draft.by_id.get(resource_id), published.by_id.get(resource_id)
        tree, resource = (draft, ours) if ours is not None else (published, theirs)
        if resource is None or not _counts(tree, resource, scope, plans):
            continue
        name = one_line(f"{tree.title(resource)} ({resource.id or 'no id'})", MAX_RESOURCE_NAME)
        if theirs is None:
            sentences.append(f"{name} is new in the draft")
        elif ours is None:
            sentences.append(f"{name} is gone from the draft")
        else:
            members = differing(*_comparable(draft, ours, published, theirs))
            if members:
                sentences.append(with_members(f"{name} was changed in the draft", members))
    return sentences


def _counts(tree: Tree, resource: Resource, scope: Scope, plans: Collection[str]) -> bool:
    if scope is Scope.WHOLE or resource.kind in {PRODUCT, PROPERTY}:
        return True
    return tree.plan_of(resource) in plans


def _comparable(
    draft: Tree, ours: Resource, published: Tree, theirs: Resource
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the members to compare: the published ones, and those of the draft."""
    before, after = dict(theirs.members), dict(ours.members)
    if not ours.is_configuration:
        return before, after
    plan = draft.plan_of(ours)
    held, was = (configuration(tree, plan) if plan else None for tree in (draft, published))
    for members in (before, after):
        members.pop(VERSIONS, None)
    if isinstance(after.get("vmProperties"), dict) and isinstance(before.get("vmProperties"), dict):
        after["vmProperties"] = _kept_capabilities(after["vmProperties"], before["vmProperties"])
    if held is not None and was is not None:
        added_types = _added_image_types(held, was)
        after["skus"] = [
            sku
            for sku in after.get("skus") or []
            if not isinstance(sku, dict) or sku.get("imageType") not in added_types
        ]
    return before, after


def _kept_capabilities(drafted: Mapping[str, Any], published: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: True if name in PERMANENT_CAPABILITIES and value is False and published.get(name) is True else value
        for name, value in drafted.items()
    }


def _added_image_types(held: Configuration, was: Configuration) -> set[str]:
    """Return the image types that the draft has as new SKUs and in image versions."""
    return (set(held.image_types) - set(was.image_types)) & _types(held)


def _types(held: Configuration) -> set[str]:
    return {image.image_type for version in held.versions if version.is_there for image in version.images}
