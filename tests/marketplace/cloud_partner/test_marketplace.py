"""The marketplace behind the Cloud Partner Portal API, against a small fake service."""

import base64
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from marketplace import errors
from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import FixedToken
from marketplace.model import (
    Change,
    DataDisk,
    Deprecation,
    EditOutcome,
    ForeignEdits,
    Image,
    OfferDefinition,
    OfferKey,
    OperationKind,
    OperationState,
    Scope,
    Sku,
    Slot,
    WhenFull,
)
from marketplace.protocol import Attempt, Marketplace, PutOutcome
from marketplace.sas import Signer

NOW = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
OFFER = OfferKey(publisher_id="fabrikam-linux", offer_id="webstack")
PATH = "/api/publishers/fabrikam-linux/offers/webstack"
SAS = "sv=2022-11-02&sr=c&sp=rl&st=2024-02-20T00%3A00%3A00Z&se=2024-09-01T00%3A00%3A00Z&sig=hunter2"
WAITING = "waitingForPublisherReview"
VM = "microsoft-azure-virtualmachines"

Hook = Callable[["Service", httpx.Request], httpx.Response | None]


def url(version: str, sas: str = SAS) -> str:
    return f"https://images.blob.core.windows.net/vhds/web-{version}.vhd" + (f"?{sas}" if sas else "")


def image(version: str, sas: str = SAS) -> Image:
    return Image(plan_id="lts", version=version, os_vhd_url=url(version, sas))


def document(*versions: str, **more: object) -> dict[str, Any]:
    images = {version: {"osVhdUrl": url(version), "lunVhdDetails": []} for version in versions}
    plan = {"planId": "lts", f"{VM}.vmImages": images}
    return {
        "publisherId": "fabrikam-linux",
        "offerTypeId": VM,
        "id": "webstack",
        "definition": {"displayText": "A & B", "plans": [plan]},
        **more,
    }


def versions_of(text: str) -> list[str]:
    return list(json.loads(text)["definition"]["plans"][0][f"{VM}.vmImages"])


class Service:
    """A fake service with one offer in three slots, an ETag and operations. A hook may answer instead."""

    def __init__(self, draft: dict[str, Any] | None = None, *, sends_etag: bool = True) -> None:
        self.slots: dict[str, str] = {}
        if draft is not None:
            self.slots["Draft"] = json.dumps(draft, indent=3)
        self.number = 1
        self.sends_etag = sends_etag
        self.listed: Any = [] if draft is not None else None
        self.documents: dict[str, Any] = {}
        self.status: Any = {"status": "running"} if draft is not None else None
        self.calls: list[tuple[str, str]] = []
        self.puts: list[httpx.Request] = []
        self.hook: Hook | None = None
        self.signer: Signer | None = None

    @property
    def etag(self) -> str:
        return f"W/\"datetime'{self.number}'\""

    def write(self, draft: dict[str, Any] | str) -> None:
        self.slots["Draft"] = draft if isinstance(draft, str) else json.dumps(draft)
        self.number += 1

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(PATH).strip("/")
        self.calls.append((request.method, path))
        answer = self.hook(self, request) if self.hook else None
        if answer is not None:
            return answer
        if request.method == "PUT":
            return self.put(request)
        if request.method == "POST":
            return httpx.Response(202)
        if path in {"", "slot/Preview", "slot/Production"}:
            text = self.slots.get(path.removeprefix("slot/") or "Draft")
            headers = {"etag": self.etag} if self.sends_etag else {}
            return httpx.Response(404) if text is None else httpx.Response(200, text=text, headers=headers)
        found = self.documents.get(path.removeprefix("operations/"))
        if path == "submissions":
            found = self.listed
        elif path == "status":
            found = self.status
        return httpx.Response(404) if found is None else httpx.Response(200, json=found)

    def put(self, request: httpx.Request) -> httpx.Response:
        self.puts.append(request)
        if_match = request.headers.get("if-match")
        exists = "Draft" in self.slots
        if exists and if_match is None:
            return httpx.Response(400, json={"error": {"code": "MissingIfMatch", "message": "If-Match is required."}})
        if exists and if_match not in {"*", self.etag}:
            return httpx.Response(412)
        self.write(request.content.decode())
        return httpx.Response(200 if exists else 201)

    def marketplace(self) -> CloudPartnerMarketplace:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        portal = Portal(client, FixedToken(SecretStr("hunter2-token")))
        return CloudPartnerMarketplace(portal, signer=self.signer, clock=lambda: NOW)

    async def put_offer(self, text: str, *, replace: bool, repeated: bool, sole_writer: bool) -> PutOutcome | None:
        return await self.marketplace().put_offer(
            OFFER,
            OfferDefinition(member="offer", text=text),
            replace=replace,
            sole_writer=sole_writer,
            attempt=Attempt(repeated=repeated),
        )

    async def edit(self, *images: Image, sole_writer: bool = True, **more: Any) -> EditOutcome:
        marketplace = self.marketplace()
        return await marketplace.edit_images(
            OFFER,
            Change(images=list(images), **more),
            preview=await marketplace.read_slot(OFFER, Slot.PREVIEW),
            production=await marketplace.read_slot(OFFER, Slot.PRODUCTION),
            sole_writer=sole_writer,
            attempt=Attempt(),
        )


async def test_an_offer_that_was_never_published_has_no_operations() -> None:
    marketplace: Marketplace = Service(document("1.0.0")).marketplace()
    assert await marketplace.operations(OFFER) == []


def stranger_writes(times: int, *, when: str = "PUT") -> Hook:
    """Let somebody else add a version just before a request."""

    def hook(service: Service, request: httpx.Request) -> None:
        nonlocal times
        if request.method == when and times:
            times -= 1
            draft = json.loads(service.slots["Draft"])
            images = draft["definition"]["plans"][0][f"{VM}.vmImages"]
            version = f"1.0.{len(images)}"
            images[version] = {"osVhdUrl": url(version), "lunVhdDetails": []}
            service.write(draft)

    return hook


# Creating and replacing an offer


async def test_a_new_offer_is_put_without_if_match() -> None:
    service = Service()
    text = json.dumps(document("1.0.0"), indent=1)
    put = await service.put_offer(text, replace=False, repeated=False, sole_writer=True)
    assert put is not None
    assert (put.operations, [str(each) for each in put.images], put.warnings) == ([], ["lts 1.0.0"], [])
    assert service.puts[0].headers.get("if-match") is None
    assert service.slots["Draft"] == text


async def test_an_existing_offer_is_left_alone() -> None:
    service = Service(document("1.0.0"))
    put = await service.put_offer(json.dumps(document("1.0.0")), replace=False, repeated=False, sole_writer=True)
    assert put is None
    assert not service.puts


async def test_a_repeated_creation_recognises_its_own_offer() -> None:
    service = Service(document("1.0.0", status="neverPublished", version=1))
    service.listed = [{"id": "op-1", "submissionState": "completed"}]
    text = json.dumps(document("1.0.0"))
    put = await service.put_offer(text, replace=False, repeated=True, sole_writer=True)
    assert put is not None
    assert put.operations == ["op-1"]
    assert not service.puts


async def test_a_repeated_creation_recognises_an_offer_of_somebody_else() -> None:
    service = Service(document("9.0.0"))
    put = await service.put_offer(json.dumps(document("1.0.0")), replace=False, repeated=True, sole_writer=True)
    assert put is None
    assert not service.puts


@pytest.mark.parametrize("sends_etag", [True, False])
async def test_a_draft_is_replaced_under_its_etag(sends_etag: bool) -> None:  # noqa: FBT001
    service = Service(document("1.0.0"), sends_etag=sends_etag)
    service.listed = [{"id": f"op-{number}"} for number in range(9)]
    expected = service.etag if sends_etag else "*"
    text = json.dumps(document("2.0.0"))
    put = await service.put_offer(text, replace=True, repeated=False, sole_writer=True)
    assert put is not None
    assert put.operations == ["op-0", "op-1", "op-2", "op-3", "op-4"]
    assert service.puts[0].headers["if-match"] == expected
    assert service.slots["Draft"] == text


async def test_a_replacement_reads_again_after_somebody_else_wrote() -> None:
    service = Service(document("1.0.0"))
    service.hook = stranger_writes(4)
    assert await service.put_offer(json.dumps(document("2.0.0")), replace=True, repeated=False, sole_writer=True)
    assert len(service.puts) == 5


async def test_a_replacement_gives_up_after_five_conflicts() -> None:
    service = Service(document("1.0.0"))
    service.hook = stranger_writes(99)
    with pytest.raises(errors.Conflict):
        await service.put_offer(json.dumps(document("2.0.0")), replace=True, repeated=False, sole_writer=True)
    assert len(service.puts) == 5


@pytest.mark.parametrize("status", [409, 423])
async def test_a_replacement_is_not_repeated_while_the_service_accepts_none(status: int) -> None:
    service = Service(document("1.0.0"))
    service.hook = lambda _, request: httpx.Response(status) if request.method == "PUT" else None
    with pytest.raises(errors.Conflict):
        await service.put_offer(json.dumps(document("2.0.0")), replace=True, repeated=False, sole_writer=True)
    assert service.calls == [("GET", ""), ("PUT", "")]


@pytest.mark.parametrize("status", [None, 409, 412])
async def test_an_offer_that_somebody_else_creates_meanwhile_is_left_alone(status: int | None) -> None:
    def hook(service: Service, request: httpx.Request) -> httpx.Response | None:
        if request.method == "PUT" and not service.slots:
            service.write(document("9.0.0"))
            service.listed = []
            return httpx.Response(status) if status else None
        return None

    service = Service()
    service.hook = hook
    put = await service.put_offer(json.dumps(document("1.0.0")), replace=False, repeated=False, sole_writer=True)
    assert put is None
    assert versions_of(service.slots["Draft"]) == ["9.0.0"]


@pytest.mark.parametrize("status", [400, 412, 428])
async def test_a_new_offer_is_put_with_if_match_if_the_service_requires_it(status: int) -> None:
    def hook(_: Service, request: httpx.Request) -> httpx.Response | None:
        return None if "if-match" in request.headers else httpx.Response(status, text="If-Match is required")

    service = Service()
    service.hook = hook
    assert await service.put_offer(json.dumps(document("1.0.0")), replace=False, repeated=False, sole_writer=True)
    assert [request.headers.get("if-match") for request in service.puts] == ["*"]


async def test_a_document_that_the_service_refuses_stays_refused() -> None:
    service = Service()
    service.hook = lambda _, request: httpx.Response(400, text="No title.") if request.method == "PUT" else None
    with pytest.raises(errors.Refused, match=r"No title\."):
        await service.put_offer(json.dumps(document("1.0.0")), replace=False, repeated=False, sole_writer=True)
    assert service.calls.count(("PUT", "")) == 2


async def test_a_missing_publisher_is_not_found() -> None:
    service = Service()
    service.hook = lambda *_: httpx.Response(404)
    with pytest.raises(errors.NotFound):
        await service.put_offer(json.dumps(document("1.0.0")), replace=False, repeated=False, sole_writer=True)


async def test_text_that_is_not_a_document_is_not_sent() -> None:
    service = Service()
    with pytest.raises(errors.RuleBroken):
        await service.put_offer("[]", replace=False, repeated=False, sole_writer=True)
    assert not service.calls


def disk(text: str, version: str = "1.0.0") -> str:
    found = json.loads(text)["definition"]["plans"][0][f"{VM}.vmImages"][version]["osVhdUrl"]
    assert isinstance(found, str)
    return found


def with_disks(**addresses: str) -> dict[str, Any]:
    """Return an offer with one plan. ``v1="https…"`` is the disk of its version 1.0.0."""
    versions = {f"{name.removeprefix('v')}.0.0": address for name, address in addresses.items()}
    offer = document(*versions)
    for version, address in versions.items():
        offer["definition"]["plans"][0][f"{VM}.vmImages"][version]["osVhdUrl"] = address
    return offer


SIGNER = Signer({"images": base64.b64encode(b"hunter2").decode()})
SOON = SAS.replace("2024-09-01", "2024-03-05")
EXPIRED = SAS.replace("2024-09-01", "2024-02-28")


async def test_a_sas_that_does_not_work_is_reported_without_its_signature() -> None:
    text = json.dumps(with_disks(v1=url("1.0.0", SOON)))
    put = await Service().put_offer(text, replace=False, repeated=False, sole_writer=True)
    assert put is not None
    (warning,) = put.warnings
    assert warning.startswith("lts 1.0.0: the SAS of the OS disk: se (expiry) 2024-03-05")
    assert "hunter2" not in str(put)


@pytest.mark.parametrize("query", ["", EXPIRED, SAS.replace("sr=c&", "")])
async def test_a_new_offer_with_unreadable_disks_is_not_sent(query: str) -> None:
    service = Service()
    text = json.dumps(with_disks(v1=url("1.0.0", query)))
    with pytest.raises(errors.RuleBroken, match=r"lts 1\.0\.0: the (SAS|URL) of the OS disk") as caught:
        await service.put_offer(text, replace=False, repeated=False, sole_writer=True)
    assert not service.puts
    assert "hunter2" not in str(caught.value)


async def test_a_new_offer_needs_no_secret_if_the_worker_has_the_key() -> None:
    service = Service()
    service.signer = SIGNER
    text = json.dumps(with_disks(v1=url("1.0.0", "")))
    put = await service.put_offer(text, replace=False, repeated=False, sole_writer=True)
    assert put is not None
    assert put.warnings == []
    sent = service.slots["Draft"]
    assert parse_qs(urlsplit(disk(sent)).query)["sp"] == ["rl"]
    assert sent.replace(disk(sent), url("1.0.0", "")) == text


async def test_a_repeated_creation_recognises_the_offer_that_it_signed() -> None:
    service = Service(with_disks(v1=url("1.0.0", EXPIRED)))
    service.signer = SIGNER
    text = json.dumps(with_disks(v1=url("1.0.0", "")))
    put = await service.put_offer(text, replace=False, repeated=True, sole_writer=True)
    assert put is not None
    assert not service.puts
    assert len(put.warnings) == 1


async def test_a_replaced_draft_keeps_the_urls_of_images_that_it_holds() -> None:
    service = Service(with_disks(v1=url("1.0.0", EXPIRED)))
    service.signer = SIGNER
    text = json.dumps(with_disks(v1=url("1.0.0", ""), v2=url("2.0.0", "")))
    put = await service.put_offer(text, replace=True, repeated=False, sole_writer=True)
    assert put is not None
    (warning,) = put.warnings
    assert warning.startswith("lts 1.0.0: the SAS of the OS disk: se (expiry) 2024-02-28")
    sent = service.slots["Draft"]
    assert disk(sent) == url("1.0.0", EXPIRED)
    assert parse_qs(urlsplit(disk(sent, "2.0.0")).query)["sp"] == ["rl"]
    await service.put_offer(text, replace=True, repeated=True, sole_writer=True)
    assert service.slots["Draft"] == sent


async def test_a_replaced_draft_gets_no_new_unreadable_image() -> None:
    service = Service(with_disks(v1=url("1.0.0", EXPIRED)))
    text = json.dumps(with_disks(v1=url("1.0.0", EXPIRED), v2=url("2.0.0", EXPIRED)))
    with pytest.raises(errors.RuleBroken) as caught:
        await service.put_offer(text, replace=True, repeated=False, sole_writer=True)
    assert str(caught.value).startswith("lts 2.0.0: the SAS of the OS disk: se (expiry)")
    assert "1.0.0" not in str(caught.value)
    assert not service.puts


async def test_a_definition_of_the_other_api_is_refused_before_anything_is_sent() -> None:
    service = Service()
    for text in (json.dumps(document("1.0.0")), "{}"):
        with pytest.raises(errors.RuleBroken, match=r"^configure: is of the Product Ingestion API only") as caught:
            await service.marketplace().put_offer(
                OFFER,
                OfferDefinition(member="configure", text=text),
                replace=True,
                sole_writer=True,
                attempt=Attempt(),
            )
        assert "Give the offer as `offer` instead" in str(caught.value)
    assert service.calls == []


# Changes that the API supports


GALLERY = (
    "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/images/providers/Microsoft.Compute"
    "/galleries/fabrikam/images/webstack/versions/1.1.0"
)
FROM_A_GALLERY = Image(plan_id="lts", version="1.1.0", gallery_image_id=GALLERY)
WITH_A_SKU = image("1.1.0").model_copy(update={"sku": Sku(id="lts-gen2")})
ELSEWHERE: dict[str, Change] = {
    "publish": Change(scope=Scope.MODULAR),
    "foreign_edits": Change(foreign_edits=ForeignEdits.FAIL),
    "deprecation": Change(deprecation=Deprecation(reason="endOfSupport")),
    "images.gallery_image_id": Change(images=[image("1.0.0"), FROM_A_GALLERY]),
    "images.sku": Change(images=[image("1.0.0"), WITH_A_SKU]),
}


@pytest.mark.parametrize("member", ELSEWHERE)
def test_a_member_that_only_the_other_api_has_is_refused(member: str) -> None:
    service = Service()
    with pytest.raises(errors.RuleBroken) as caught:
        service.marketplace().check(ELSEWHERE[member])
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{member}: is of the Product Ingestion API only")
    assert line.endswith("Leave it out.")
    assert service.calls == []


def test_members_that_only_the_other_api_has_are_named_together() -> None:
    change = Change(
        images=[FROM_A_GALLERY, WITH_A_SKU],
        scope=Scope.MODULAR,
        foreign_edits=ForeignEdits.INCLUDE,
        deprecation=Deprecation(alternative_plan_id="edge"),
    )
    with pytest.raises(errors.RuleBroken) as caught:
        Service().marketplace().check(change)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == list(ELSEWHERE)


def test_a_change_that_the_api_supports_is_not_refused() -> None:
    marketplace = Service().marketplace()
    marketplace.check(Change())
    wanted = image("1.0.0").model_copy(update={"generation": "2", "data_disks": [DataDisk(lun=0, vhd_url=url("d"))]})
    marketplace.check(Change(images=[wanted], when_full=WhenFull.REMOVE_OLDEST, limit=3, scope=Scope.WHOLE))
    marketplace.check(Change(deprecation=Deprecation.model_validate_json('{"notice": "P90D", "reason": "other"}')))


# Editing images


async def test_an_image_is_put_in_one_write_under_the_etag() -> None:
    service = Service(document("1.0.0"))
    service.listed = [{"id": "op-1"}]
    before, etag = service.slots["Draft"], service.etag
    edit = await service.edit(image("1.1.0"))
    assert [str(each) for each in edit.added] == ["lts 1.1.0"]
    assert edit.operations == ["op-1"]
    [put] = service.puts
    assert put.headers["if-match"] == etag
    assert versions_of(put.content.decode()) == ["1.0.0", "1.1.0"]
    head, _, _ = before.partition('"1.0.0"')
    assert put.content.decode().startswith(head)
    assert "A & B" in put.content.decode()


@pytest.mark.parametrize("sends_etag", [True, False])
@pytest.mark.parametrize("write", ["edit", "replace"])
async def test_a_publish_that_starts_during_the_write_is_among_the_known_operations(
    write: str,
    sends_etag: bool,  # noqa: FBT001
) -> None:
    def hook(service: Service, request: httpx.Request) -> None:
        if request.method == "PUT":
            service.listed = [{"id": "theirs"}, *service.listed]

    service = Service(document("1.0.0"), sends_etag=sends_etag)
    service.listed = [{"id": "old"}]
    service.hook = hook
    if write == "edit":
        known = (await service.edit(image("1.1.0"))).operations
    else:
        text = json.dumps(document("2.0.0"))
        put = await service.put_offer(text, replace=True, repeated=False, sole_writer=True)
        assert put is not None
        known = put.operations
    assert known == ["theirs", "old"]
    assert service.calls.count(("GET", "submissions")) == 1


async def test_an_image_that_is_there_already_is_not_written() -> None:
    service = Service(document("1.0.0"))
    edit = await service.edit(image("1.0.0"))
    assert not edit.changed
    assert not service.puts


async def test_planning_an_edit_writes_nothing() -> None:
    service = Service(document("1.0.0"))
    change = Change(images=[image("1.1.0")])
    edit = await service.marketplace().planned_edit(OFFER, change, preview=None, production=None)
    assert edit.changed
    assert not service.puts


async def test_a_broken_rule_is_found_before_anything_is_sent() -> None:
    service = Service(document("1.0.0"))
    with pytest.raises(errors.PlanMissing):
        await service.edit(Image(plan_id="other", version="1.0.0", os_vhd_url=url("1.0.0")))
    assert not service.puts


async def test_the_newest_of_preview_and_production_stay() -> None:
    service = Service(document("1.0.0", "2.0.0", "3.0.0"))
    service.slots["Production"] = json.dumps(document("1.0.0"))
    service.slots["Preview"] = json.dumps(document("2.0.0"))
    edit = await service.edit(image("4.0.0"), when_full=WhenFull.REMOVE_OLDEST, limit=3)
    assert [str(each) for each in edit.removed] == ["lts 3.0.0"]


async def test_an_edit_is_applied_again_after_somebody_else_wrote() -> None:
    service = Service(document("1.0.0"))
    service.hook = stranger_writes(4)
    edit = await service.edit(image("2.0.0"))
    assert [str(each) for each in edit.added] == ["lts 2.0.0"]
    assert versions_of(service.slots["Draft"]) == ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4", "2.0.0"]


async def test_an_edit_gives_up_after_five_conflicts() -> None:
    service = Service(document("1.0.0"))
    service.hook = stranger_writes(99)
    with pytest.raises(errors.Conflict):
        await service.edit(image("2.0.0"), limit=0)
    assert len(service.puts) == 5


async def test_without_an_etag_the_draft_is_read_back() -> None:
    service = Service(document("1.0.0"), sends_etag=False)
    edit = await service.edit(image("1.1.0"))
    assert edit.changed
    assert [request.headers["if-match"] for request in service.puts] == ["*"]
    assert service.calls[-2:] == [("GET", ""), ("GET", "submissions")]


async def test_without_an_etag_an_overwritten_image_is_added_again() -> None:
    def hook(service: Service, _: httpx.Request) -> None:
        if service.calls[-2:] == [("PUT", ""), ("GET", "")] and len(service.puts) == 1:
            service.write(document("1.0.0", "1.0.1"))

    service = Service(document("1.0.0"), sends_etag=False)
    service.hook = hook
    edit = await service.edit(image("1.1.0"))
    assert [str(each) for each in edit.added] == ["lts 1.1.0"]
    assert versions_of(service.slots["Draft"]) == ["1.0.0", "1.0.1", "1.1.0"]


async def test_without_an_etag_repeated_overwriting_ends_as_a_conflict() -> None:
    service = Service(document("1.0.0"), sends_etag=False)
    service.hook = lambda service, request: service.write(document("1.0.0")) if request.method == "GET" else None
    with pytest.raises(errors.Conflict, match="overwritten 5 times"):
        await service.edit(image("1.1.0"))
    assert len(service.puts) == 5


async def test_an_edit_of_a_missing_offer_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        await Service().edit(image("1.0.0"))


async def test_a_draft_of_an_undocumented_shape_is_unreadable() -> None:
    service = Service(document("1.0.0"))
    service.slots["Draft"] = '{"id": NaN}'
    with pytest.raises(errors.Unreadable, match="not as documented"):
        await service.edit(image("1.0.0"))
    with pytest.raises(errors.Unreadable, match="not as documented"):
        await service.marketplace().read_slot(OFFER, Slot.DRAFT)


async def test_disks_without_a_sas_are_signed() -> None:
    service = Service()
    draft = document("1.0.0")
    disks = [{"lun": 0, "vhdUrl": url("0-data")}]
    draft["definition"]["plans"][0][f"{VM}.vmImages"]["1.0.0"]["lunVhdDetails"] = disks
    service.write(draft)
    service.listed = []
    service.signer = Signer({"images": base64.b64encode(b"hunter2").decode()})
    wanted = Image(
        plan_id="lts",
        version="1.1.0",
        os_vhd_url=url("1.1.0", ""),
        data_disks=[DataDisk(lun=0, vhd_url=url("1-data", ""))],
    )
    edit = await service.edit(wanted)
    assert edit.changed
    assert edit.warnings == []
    added = json.loads(service.puts[0].content)["definition"]["plans"][0][f"{VM}.vmImages"]["1.1.0"]
    for signed in [added["osVhdUrl"], *(each for disk in added["lunVhdDetails"] for each in disk.values())]:
        if isinstance(signed, str):
            assert parse_qs(urlsplit(signed).query)["sp"] == ["rl"]


# Reading


async def test_every_slot_is_read() -> None:
    service = Service(document("1.0.0"))
    service.slots["Preview"] = json.dumps(document("0.9.0"))
    marketplace = service.marketplace()
    for slot, version in ((Slot.DRAFT, "1.0.0"), (Slot.PREVIEW, "0.9.0")):
        contents = await marketplace.read_slot(OFFER, slot)
        assert contents is not None
        assert [held.version for held in contents.versions] == [version]
    assert await marketplace.read_slot(OFFER, Slot.PRODUCTION) is None


async def test_an_offer_that_was_never_published_has_no_operations_even_without_a_list() -> None:
    service = Service(document("1.0.0"))
    service.listed = None
    service.status = {"status": "neverPublished", "steps": []}
    assert await service.marketplace().operations(OFFER) == []


async def test_a_published_offer_without_a_list_is_not_mistaken_for_a_new_one() -> None:
    service = Service(document("1.0.0"))
    service.listed = None
    with pytest.raises(errors.Refused, match="does not list its operations"):
        await service.marketplace().operations(OFFER)


async def test_operations_of_a_missing_offer_are_not_found() -> None:
    with pytest.raises(errors.NotFound):
        await Service().marketplace().operations(OFFER)


@pytest.mark.parametrize(("word", "awaits"), [(WAITING, True), ("running", False)])
async def test_after_a_failed_go_live_the_offers_status_says_if_it_awaits_sign_off(
    word: str,
    awaits: bool,  # noqa: FBT001
) -> None:
    service = Service(document("1.0.0"))
    service.listed = [{"id": "op-1", "submissionType": "GoLive", "submissionState": "failed"}]
    service.status = {"status": word, "steps": []}
    assert (await service.marketplace().status(OFFER)).awaits_sign_off is awaits


@pytest.mark.parametrize(("word", "awaits"), [(WAITING, True), ("running", True), ("canceled", False)])
async def test_a_publish_that_ended_at_sign_off_waits_unless_the_offers_status_says_otherwise(
    word: str,
    awaits: bool,  # noqa: FBT001
) -> None:
    service = Service(document("1.0.0"))
    service.status = {"status": word, "steps": []}
    assert await service.marketplace().may_await_sign_off(OFFER) is awaits


# Looking at an operation


async def test_the_kind_is_taken_from_the_document() -> None:
    service = Service(document("1.0.0"))
    service.documents["op-1"] = {"status": "completed", "submissionType": "GoLive"}
    report = await service.marketplace().look(OFFER, "op-1")
    assert (report.kind, report.state) == (OperationKind.GO_LIVE, OperationState.LIVE)
    assert service.calls == [("GET", "operations/op-1")]


async def test_without_a_kind_in_the_document_it_is_taken_from_the_list() -> None:
    service = Service(document("1.0.0"))
    service.documents["op-1"] = [{"status": "completed", "steps": []}]
    service.listed = [{"id": "op-2"}, {"id": "op-1", "submissionType": "goLive"}]
    assert (await service.marketplace().look(OFFER, "op-1")).state is OperationState.LIVE


async def test_a_sign_off_that_only_the_offers_status_shows_is_found() -> None:
    service = Service(document("1.0.0"))
    service.documents["op-1"] = {"status": "running", "submissionType": "publish", "steps": []}
    service.listed = [{"id": "op-1", "submissionState": "running"}]
    service.status = {"status": WAITING}
    assert (await service.marketplace().look(OFFER, "op-1")).state is OperationState.PREVIEW


async def test_the_offers_status_is_not_mistaken_for_that_of_an_older_operation() -> None:
    service = Service(document("1.0.0"))
    service.documents["op-1"] = {"status": "running", "submissionType": "publish", "steps": []}
    service.listed = [{"id": "op-2", "submissionState": "running"}, {"id": "op-1", "submissionState": "running"}]
    service.status = {"status": WAITING}
    assert (await service.marketplace().look(OFFER, "op-1")).state is OperationState.RUNNING


async def test_the_status_of_the_previous_preview_is_not_mistaken_for_that_of_a_new_publish() -> None:
    service = Service(document("1.0.0"))
    steps = [{"id": "a", "status": "inProgress"}, {"id": "b", "status": "notStarted"}]
    service.documents["op-1"] = {"status": "running", "submissionType": "publish", "steps": steps}
    service.listed = [{"id": "op-1", "submissionState": "running"}]
    service.status = {"status": WAITING}
    assert (await service.marketplace().look(OFFER, "op-1")).state is OperationState.RUNNING


async def test_the_list_is_not_read_while_nothing_waits() -> None:
    service = Service(document("1.0.0"))
    service.documents["op-1"] = {"status": "running", "submissionType": "publish"}
    assert (await service.marketplace().look(OFFER, "op-1")).state is OperationState.RUNNING
    assert ("GET", "submissions") not in service.calls


async def test_a_look_at_a_missing_operation_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        await Service(document("1.0.0")).marketplace().look(OFFER, "op-1")


# Starting and cancelling


async def test_operations_are_started_and_cancelled() -> None:
    service = Service(document("1.0.0"))
    marketplace = service.marketplace()
    assert await marketplace.publish(OFFER, Change(), ["a@b.example"], attempt=Attempt()) is None
    assert await marketplace.go_live(OFFER, "op-1", attempt=Attempt()) is None
    await marketplace.cancel(OFFER, "op-1", [])
    assert service.calls == [("POST", "publish"), ("POST", "golive"), ("POST", "cancel")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from([WAITING, "running", "op-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "status", "steps", "messages", "definition", "plans", "planId", "value"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(JSON, st.lists(JSON, min_size=4, max_size=4))
async def test_any_answer_leads_to_a_result_or_a_typed_error(draft: object, answers: list[object]) -> None:
    service = Service(document("1.0.0"))
    service.slots = dict(zip(["Draft", "Preview"], [json.dumps(draft), json.dumps(answers[0])], strict=True))
    service.listed, service.status, service.documents["op-1"] = answers[1:]
    marketplace = service.marketplace()
    for call in (
        lambda: marketplace.look(OFFER, "op-1"),
        lambda: marketplace.operations(OFFER),
        lambda: marketplace.may_await_sign_off(OFFER),
        lambda: marketplace.read_slot(OFFER, Slot.PREVIEW),
        lambda: service.edit(image("1.1.0")),
        lambda: service.put_offer(json.dumps(document()), replace=True, repeated=True, sole_writer=True),
    ):
        with contextlib.suppress(errors.MarketplaceError, errors.RuleBroken):
            await call()


async def test_without_an_etag_only_a_sole_writer_writes() -> None:
    service = Service(document("1.0.0"), sends_etag=False)
    text = json.dumps(document("2.0.0"))
    with pytest.raises(errors.Unguarded):
        await service.put_offer(text, replace=True, repeated=False, sole_writer=False)
    with pytest.raises(errors.Unguarded):
        await service.edit(image("2.0.0"), sole_writer=False)

    assert service.puts == []
