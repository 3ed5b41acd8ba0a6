"""Offers of the Product Ingestion API for tests: trees, technical configurations, images."""

import json
from datetime import UTC, datetime
from typing import Any

from marketplace.model import Change, EditOutcome, Image
from marketplace.product_ingestion import edits, resources
from marketplace.product_ingestion.plan_configurations import Trees, trees
from marketplace.product_ingestion.resources import Tree

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
P = "6f1c2b34-90aa-4d2e-8c11-5b7d0a9e4f01"
PLANS = {"lts": "0b7e55d2-1c3f-4c5a-a7b8-2f6e91d0c3aa", "edge": "1b7e55d2-1c3f-4c5a-a7b8-2f6e91d0c3ab"}
TENANT = "c2d8b7a4-54a6-4bf0-9b7e-0f8f3a1d6e90"
SAS = "sv=2022-11-02&sr=c&sp=rl&st=2026-02-20T00%3A00%3A00Z&se=2026-09-01T00%3A00%3A00Z&sig=hunter2"
EXPIRED = "sv=2022-11-02&sr=c&sp=rl&st=2024-02-20T00%3A00%3A00Z&se=2024-09-01T00%3A00%3A00Z&sig=hunter1"
VM = "virtual-machine-plan-technical-configuration"


def schema(kind: str, version: str = "2022-03-01-preview5") -> str:
    return f"https://schema.mp.microsoft.com/schema/{kind}/{version}"


def url(name: str, sas: str = SAS) -> str:
    return f"https://images.blob.core.windows.net/vhds/{name}.vhd" + (f"?{sas}" if sas else "")


def gallery(name: str) -> str:
    return (
        "/subscriptions/1111/resourceGroups/Images/providers/Microsoft.Compute/galleries/contoso"
        f"/images/web/versions/{name}"
    )


def sas_source(name: str, sas: str = SAS, **data_disks: str) -> dict[str, Any]:
    disks = [{"lunNumber": int(lun.removeprefix("lun")), "uri": url(each, sas)} for lun, each in data_disks.items()]
    return {"sourceType": "sasUri", "osDisk": {"uri": url(name, sas)}, "dataDisks": disks}


def gallery_source(name: str) -> dict[str, Any]:
    shared = {"tenantId": TENANT, "resourceId": gallery(name)}
    return {"sourceType": "sharedImageGallery", "sharedImage": shared}


def version(number: str, *types: str, source: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Return an image version with one source."""
    images = [{"imageType": each, "source": source or sas_source(number)} for each in types or ("x64Gen2",)]
    return {"versionNumber": number, "vmImages": images, **members}


def configuration(
    *versions: dict[str, Any], plan: str = "lts", types: str = "x64Gen2", **members: Any
) -> dict[str, Any]:
    skus = [
        {"imageType": each, "skuId": plan if at == 0 else f"{plan}-{at}"} for at, each in enumerate(types.split())
    ]
    return {
        "$schema": schema(VM),
        "id": f"{VM}/{P}/{PLANS[plan]}",
        "product": f"product/{P}",
        "plan": f"plan/{P}/{PLANS[plan]}",
        "operatingSystem": {"family": "linux", "type": "other"},
        "vmProperties": {"supportsExtensions": True, "supportsNVMe": False},
        "skus": skus,
        "vmImageVersions": list(versions),
        **members,
    }


def plan(name: str = "lts", **members: Any) -> dict[str, Any]:
    return {
        "$schema": schema("plan", "2022-03-01-preview3"),
        "id": f"plan/{P}/{PLANS[name]}",
        "identity": {"externalId": name},
        "alias": name.upper(),
        "product": f"product/{P}",
        **members,
    }


def product(**members: Any) -> dict[str, Any]:
    return {
        "$schema": schema("product", "2022-03-01-preview3"),
        "id": f"product/{P}",
        "identity": {"externalId": "webstack"},
        "type": "azureVirtualMachine",
        "alias": "Webstack",
        **members,
    }


def of_property(**members: Any) -> dict[str, Any]:
    return {
        "$schema": "https://product-ingestion.azureedge.net/schema/property/2022-03-01-preview3",
        "id": f"property/{P}/public/main",
        "product": f"product/{P}",
        "kind": "azureVM",
        "termsOfUse": "Be kind.",
        **members,
    }


def listing_asset(signature: str, **members: Any) -> dict[str, Any]:
    return {
        "$schema": schema("listing-asset", "2022-03-01-preview3"),
        "id": f"listing-asset/{P}/public/main/default/en-us/azurelogosmall/1",
        "product": f"product/{P}",
        "type": "azureLogoSmall",
        "fileName": "logo.png",
        "url": f"https://assets.example/logo.png?sig={signature}",
        **members,
    }


def submission(target: str, number: str = "1152921505690001234", **members: Any) -> dict[str, Any]:
    return {
        "$schema": schema("submission", "2022-03-01-preview2"),
        "id": f"submission/{P}/{number}",
        "product": f"product/{P}",
        "target": {"targetType": target},
        **members,
    }


def text(*listed: dict[str, Any], target: str = "draft") -> str:
    """Return the text of a tree."""
    return json.dumps(
        {"$schema": schema("resource-tree"), "target": {"targetType": target}, "resources": listed}, indent=3
    )


def tree(*listed: dict[str, Any]) -> Tree:
    """Return a tree of the resources, the product, its property, and a plan unless one is given."""
    plans = () if any("/schema/plan/" in each["$schema"] for each in listed) else (plan(),)
    return resources.read(text(product(), of_property(), *plans, *listed, submission("draft", "0")))


def slots(
    draft: dict[str, Any] | None, preview: dict[str, Any] | None = None, live: dict[str, Any] | None = None
) -> Trees:
    """Return the trees of an offer with one plan, from its technical configuration in each slot."""
    return trees(*[tree(each) if each is not None else None for each in (draft, preview, live)])


def image(number: str, sas: str = SAS, name: str | None = None, **members: Any) -> Image:
    members = {"plan_id": "lts"} | members
    return Image(version=number, os_vhd_url=url(name or number, sas), **members)


def gallery_image(number: str, **members: Any) -> Image:
    members = {"plan_id": "lts", "gallery_tenant_id": TENANT} | members
    return Image(version=number, gallery_image_id=gallery(number), **members)


def edit(there: Trees, *images: Image, **members: Any) -> tuple[list[dict[str, Any]], EditOutcome]:
    """Edit, and return the documents that would be written."""
    texts, outcome = edits.edit(
        there, Change(images=list(images), **members), product=P, tenant_id=members.pop("tenant", None), now=NOW
    )
    return [json.loads(each) for each in texts], outcome


def numbers(written: dict[str, Any]) -> list[str]:
    return [each["versionNumber"] for each in written["vmImageVersions"]]
