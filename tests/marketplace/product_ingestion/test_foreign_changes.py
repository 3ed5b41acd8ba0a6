"""Which differences in the draft are changes by others."""

from typing import Any

import pytest

from marketplace import errors
from marketplace.model import Scope
from marketplace.product_ingestion import foreign_changes
from marketplace.product_ingestion.resources import Tree, read
from tests.marketplace.product_ingestion.offers import (
    PLANS,
    P,
    configuration,
    listing_asset,
    of_property,
    plan,
    product,
    schema,
    submission,
    text,
    tree,
    version,
)

PLAIN = configuration(version("1.0.0"))
[SKU] = PLAIN["skus"]


def changes(draft: Tree | None, published: Tree | None, scope: Scope = Scope.WHOLE, *plans: str) -> list[str]:
    return foreign_changes.changes_by_others(draft, published, scope, plans or ("lts",))


def offer(*listed: dict[str, Any]) -> Tree:
    return read(text(*listed))


def test_a_changed_resource_is_named_with_its_members_and_advice() -> None:
    draft = offer(product(), of_property(termsOfUse="Be mean.", categories={"compute": ["web"]}), plan())
    published = offer(product(), of_property(), plan())
    sentence = f"property public/main (property/{P}/public/main) was changed in the draft: categories, termsOfUse"
    assert changes(draft, published) == [sentence]
    with pytest.raises(errors.ForeignChanges, match='Partner Center, or set "foreign_edits": "include"'):
        foreign_changes.refuse(draft, published, Scope.WHOLE, ["lts"])


def test_new_and_missing_resources_are_changes() -> None:
    draft, published = offer(product(), plan(), plan("edge")), offer(product(), plan(), of_property())
    assert changes(draft, published) == [
        f"plan edge (plan/{P}/{PLANS['edge']}) is new in the draft",
        f"property public/main (property/{P}/public/main) is gone from the draft",
    ]


@pytest.mark.parametrize(
    ("drafted", "published"),
    [
        (configuration(version("1.0.0"), version("1.1.0")), PLAIN),
        (configuration(version("1.0.0", lifecycleState="deprecated")), PLAIN),
        (PLAIN | {"$schema": schema("virtual-machine-plan-technical-configuration", "2026-04-01-preview1")}, PLAIN),
        (PLAIN | {"validations": [{"level": "warning"}]}, PLAIN),
        (PLAIN | {"lifecycleState": "generallyAvailable", "note": None}, PLAIN),
        (PLAIN, PLAIN | {"vmProperties": {"supportsExtensions": True, "supportsNVMe": True}}),
        (configuration(version("1.0.0"), version("1.1.0", "arm64Gen2"), types="x64Gen2 arm64Gen2"), PLAIN),
        (configuration(dataDisks=[], skus=[SKU | {"securityType": []}]), PLAIN | {"vmImageVersions": []}),
        (PLAIN, configuration(version("1.0.0"), openPorts=[], recommendedVmSizes=[{}], more={"a": [{"b": {}}]})),
    ],
    ids=[
        "version",
        "deprecation",
        "schema",
        "validations",
        "nothing",
        "stale false",
        "sku with images",
        "empty",
        "empty within",
    ],
)
def test_differences_that_are_not_changes_to_a_person_are_ignored(
    drafted: dict[str, Any], published: dict[str, Any]
) -> None:
    assert changes(tree(plan(), drafted), tree(plan(), published)) == []


@pytest.mark.parametrize(
    "drafted",
    [
        PLAIN | {"openPorts": [{"label": "ssh"}]},
        PLAIN | {"vmProperties": {"supportsExtensions": False, "supportsNVMe": False}},
        PLAIN | {"vmProperties": {"supportsExtensions": True, "supportsNVMe": True}},
        configuration(version("1.0.0"), types="x64Gen2 arm64Gen2"),
        PLAIN | {"skus": []},
    ],
    ids=["ports", "capability off", "capability on", "sku without images", "no sku"],
)
def test_other_members_of_a_technical_configuration_count(drafted: dict[str, Any]) -> None:
    assert len(changes(tree(plan(), drafted), tree(plan(), PLAIN))) == 1


def test_order_signed_urls_and_submissions_are_ignored() -> None:
    draft = offer(plan(), listing_asset("one"), product(), submission("draft", "0"))
    published = offer(product(), plan(), listing_asset("two"), submission("live", "12"))
    assert changes(draft, published) == []
    assert len(changes(offer(listing_asset("one", fileName="x.png")), offer(listing_asset("two")))) == 1


def test_the_order_of_items_is_ignored_and_their_number_counts() -> None:
    one, other = {"label": "ssh"}, {"label": "web"}
    draft, published = PLAIN | {"openPorts": [one, other]}, PLAIN | {"openPorts": [other, one]}
    assert changes(tree(plan(), draft), tree(plan(), published)) == []
    assert (
        len(changes(tree(plan(), PLAIN | {"openPorts": [one, one]}), tree(plan(), PLAIN | {"openPorts": [one]}))) == 1
    )


def test_an_offer_that_was_never_published_has_no_changes_by_others() -> None:
    assert changes(offer(product(), plan()), None) == []
    assert changes(None, offer(product(), plan())) == []


def test_for_a_modular_publish_only_its_plans_count() -> None:
    page = {"$schema": schema("listing"), "id": f"listing/{P}/public/main/default/en-us", "title": "A"}
    edge = configuration(version("1.0.0"), plan="edge")
    published = offer(product(), plan(), plan("edge"), PLAIN, edge, page)
    ports = {"openPorts": [{"label": "ssh"}]}
    draft = offer(product(), plan(), plan("edge"), PLAIN | ports, edge | ports, page | {"title": "B"})
    assert len(changes(draft, published)) == 3
    assert [each.split(" (")[0] for each in changes(draft, published, Scope.MODULAR, "edge")] == [
        "virtual-machine-plan-technical-configuration of plan edge"
    ]
    changed = offer(product(alias="Other"), plan(), plan("edge"), PLAIN, edge, page)
    assert len(changes(changed, published, Scope.MODULAR, "edge")) == 1


def test_a_resource_is_assigned_to_its_plan_by_its_id() -> None:
    page = {
        "$schema": schema("plan-listing"),
        "id": f"plan-listing/{P}/public/main/{PLANS['lts']}/en-us",
        "name": "A",
    }
    draft, published = offer(plan(), page | {"name": "B"}), offer(plan(), page)
    assert len(changes(draft, published, Scope.MODULAR, "lts")) == 1
    assert changes(draft, published, Scope.MODULAR, "edge") == []
