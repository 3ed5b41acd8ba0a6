"""The bodies of requests, and answers that the sandbox does not give."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from marketplace import errors
from marketplace.model import Change, ForeignEdits, OfferDefinition, OperationKind, OperationState, Scope, Slot
from marketplace.product_ingestion.looks import GONE_AFTER, UNKNOWN_FOR
from marketplace.protocol import Attempt
from tests.marketplace.product_ingestion.mocked import JOB, OFFER, Mocked, job
from tests.marketplace.product_ingestion.offers import (
    NOW,
    PLANS,
    P,
    configuration,
    image,
    listing_asset,
    numbers,
    of_property,
    plan,
    product,
    schema,
    submission,
    text,
    version,
)
from tests.marketplace.product_ingestion.test_failures import CERTIFICATION, FOR_GOOD, IN_PROGRESS, INVALID
from tests.marketplace.product_ingestion.test_submissions import DRAFT, entry

NUMBER = "1152921505690009876"
ACCEPTED = httpx.Response(202, json=job("notStarted", "pending"))
TREE = text(
    product(),
    of_property(),
    plan(),
    plan("edge"),
    configuration(version("1.0.0"), validations=[]),
    configuration(version("1.0.0"), plan="edge"),
    listing_asset("one"),
)
STATUS = f"GET configure/{JOB}/status"
OUTCOME = f"GET configure/{JOB}"


def submitted(target: str, **members: Any) -> dict[str, Any]:
    return {
        "$schema": schema("submission", "2022-03-01-preview2"),
        "product": f"product/{P}",
        "target": {"targetType": target},
        **members,
    }


async def test_a_whole_draft_is_published_with_a_submission_only() -> None:
    service = Mocked({"POST configure": ACCEPTED})
    noted: list[str] = []
    handle = await service.marketplace().publish(
        OFFER, Change(foreign_edits=ForeignEdits.INCLUDE), ["a@b.example"], attempt=Attempt(accepted=noted.append)
    )
    assert service.sent() == [
        {"$schema": schema("configure", "2022-03-01-preview2"), "resources": [submitted("preview")]}
    ]
    assert [handle] == noted == [f"job:{JOB}"]
    assert service.asked_for == ["GET product", "POST configure"]


async def test_a_modular_publish_sends_its_plans_as_they_were_read() -> None:
    trees = {f"GET resource-tree/product {target}": TREE for target in ("draft", "preview", "live")}
    service = Mocked({**trees, "POST configure": ACCEPTED})
    change = Change(images=[image("1.0.0", plan_id="edge")], scope=Scope.MODULAR)
    await service.marketplace().publish(OFFER, change, [], attempt=Attempt())
    [body] = service.sent()
    kinds = [each["$schema"].split("/")[-2] for each in body["resources"]]
    assert kinds == ["product", "property", "plan", "virtual-machine-plan-technical-configuration", "submission"]
    assert body["resources"][2] == plan("edge")
    assert body["resources"][1] == of_property(**{"$schema": schema("property", "2022-03-01-preview3")})
    expected = configuration(version("1.0.0"), plan="edge")
    del expected["id"]
    assert body["resources"][3] == expected
    # The publish reverts all writes after the read of the draft. No request may come in between.
    assert service.asked_for[-2:] == ["GET resource-tree/product draft", "POST configure"]


async def test_a_live_version_that_another_plan_lacks_is_a_change_by_others() -> None:
    def of(target: str, *edge: dict[str, Any]) -> dict[str, str]:
        lts = configuration(version("1.0.0"))
        listed = (product(), plan(), plan("edge"), lts, configuration(version("1.0.0"), *edge, plan="edge"))
        return {f"GET resource-tree/product {target}": text(*listed)}

    live = of("live", version("1.1.0"), version("1.2.0"))
    deleted = version("1.2.0", lifecycleState="deleted")
    service = Mocked({**live, **of("preview", version("1.1.0")), **of("draft", deleted), "POST configure": ACCEPTED})
    change = Change(images=[image("1.0.0")])
    with pytest.raises(errors.ForeignChanges, match=r"^edge 1\.1\.0 is live, and gone from the draft\. Put it back"):
        await service.marketplace().publish(OFFER, change, [], attempt=Attempt())
    assert service.sent() == []
    for allowed in ({"foreign_edits": ForeignEdits.INCLUDE}, {"scope": Scope.MODULAR}):
        await service.marketplace().publish(OFFER, change.model_copy(update=allowed), [], attempt=Attempt())
    assert len(service.sent()) == 2


async def test_a_preview_is_promoted_by_its_number() -> None:
    service = Mocked({"POST configure": ACCEPTED})
    noted: list[str] = []
    await service.marketplace().go_live(OFFER, NUMBER, attempt=Attempt(accepted=noted.append))
    assert service.sent()[0]["resources"] == [submitted("live", id=f"submission/{P}/{NUMBER}")]
    assert noted == [f"job:{JOB}"]


@pytest.mark.parametrize("answer", ["", "{"])
async def test_a_publish_without_a_readable_job_was_accepted(answer: str) -> None:
    service = Mocked({"POST configure": httpx.Response(202, text=answer)})
    noted: list[str] = []
    change = Change(foreign_edits=ForeignEdits.INCLUDE)
    assert await service.marketplace().publish(OFFER, change, [], attempt=Attempt(accepted=noted.append)) is None
    assert noted == []


async def test_the_name_of_a_job_is_recorded_before_anything_else_can_fail() -> None:
    service = Mocked(
        {
            "GET resource-tree/product draft": TREE,
            "POST configure": ACCEPTED,
            STATUS: httpx.Response(503),
        }
    )
    noted: list[str] = []
    with pytest.raises(errors.Unavailable):
        await service.marketplace().edit_images(
            OFFER,
            Change(images=[image("1.1.0")]),
            preview=None,
            production=None,
            sole_writer=True,
            attempt=Attempt(accepted=noted.append),
        )
    assert noted == [f"job:{JOB}"]


async def test_an_edit_without_a_readable_job_is_judged_by_the_draft() -> None:
    written = text(product(), plan(), configuration(version("1.0.0"), version("1.1.0")))
    before = text(product(), plan(), configuration(version("1.0.0")))
    service = Mocked(
        {
            "GET resource-tree/product draft": [before, before, written],
            "POST configure": httpx.Response(202),
            "GET submission": {"value": []},
        }
    )
    outcome = await service.marketplace().edit_images(
        OFFER, Change(images=[image("1.1.0")]), preview=None, production=None, sole_writer=True, attempt=Attempt()
    )
    assert [str(each) for each in outcome.added] == ["lts 1.1.0"]
    [body] = service.sent()
    assert numbers(body["resources"][0]) == ["1.0.0", "1.1.0"]
    assert body["resources"][0]["plan"] == f"plan/{P}/{PLANS['lts']}"


async def test_a_job_without_end_is_left_to_the_next_attempt() -> None:
    service = Mocked(
        {"GET resource-tree/product draft": TREE, "POST configure": ACCEPTED, STATUS: job("running", "x")}
    )
    with pytest.raises(errors.Unavailable, match="the next attempt follows it"):
        await service.marketplace().edit_images(
            OFFER,
            Change(images=[image("1.1.0")]),
            preview=None,
            production=None,
            sole_writer=True,
            attempt=Attempt(),
        )
    assert len(service.sent()) == 1


async def test_an_offer_of_an_unsupported_type_is_refused() -> None:
    body = {"error": {"code": "badRequest", "message": "Type AzureApplication is not supported"}}
    service = Mocked({"GET resource-tree/product draft": httpx.Response(400, json=body)})
    with pytest.raises(errors.Refused, match="AzureApplication is not supported"):
        await service.marketplace().read_slot(OFFER, Slot.DRAFT)


@pytest.mark.parametrize("tree", ["{}", '{"resources": {}}', '{"resources": [1]}', '{"resources": [[]]}'])
async def test_a_tree_of_an_undocumented_shape_is_unreadable(tree: str) -> None:
    with pytest.raises(errors.Unreadable):
        await Mocked({"GET resource-tree/product draft": tree}).marketplace().read_slot(OFFER, Slot.DRAFT)


async def test_a_tree_that_is_nested_too_deeply_is_unreadable() -> None:
    tree = '{"resources": [{"a": ' + "[" * 500 + "]" * 500 + "}]}"
    with pytest.raises(errors.Unreadable, match="nested too deeply"):
        await Mocked({"GET resource-tree/product draft": tree}).marketplace().read_slot(OFFER, Slot.DRAFT)


@pytest.mark.parametrize(
    ("listed", "age", "lists"),
    [
        ([DRAFT], 0, 1),
        ([DRAFT], 5, 1),
        ([DRAFT], 6, 2),
        ([DRAFT], -1, 2),
        ([entry("preview", "12")], 0, 1),
        ([entry("preview", "12", "running", "pending")], 0, 2),
    ],
)
async def test_a_recent_list_confirms_that_a_slot_is_empty(listed: list[object], age: float, lists: int) -> None:
    times = [NOW]
    service = Mocked({"GET resource-tree/product live": 404, "GET submission": {"value": listed}})
    marketplace = service.marketplace(clock=lambda: times[-1])
    await marketplace.operations(OFFER)
    times.append(NOW + timedelta(seconds=age))
    assert await marketplace.read_slot(OFFER, Slot.PRODUCTION) is None
    assert service.asked_for.count("GET submission") == lists


async def test_a_list_that_shows_a_filled_slot_is_read_again() -> None:
    service = Mocked({"GET resource-tree/product live": 404, "GET submission": {"value": [entry("live", "12")]}})
    marketplace = service.marketplace()
    await marketplace.operations(OFFER)
    with pytest.raises(errors.Unreadable, match="submissions say that there is one"):
        await marketplace.read_slot(OFFER, Slot.PRODUCTION)
    assert service.asked_for.count("GET submission") == 2


async def test_the_list_of_another_activity_confirms_nothing() -> None:
    service = Mocked({"GET resource-tree/product live": 404, "GET submission": {"value": [DRAFT]}})
    marketplace = service.marketplace()
    await asyncio.create_task(marketplace.operations(OFFER))
    await asyncio.create_task(marketplace.read_slot(OFFER, Slot.PRODUCTION))
    await marketplace.operations(OFFER)
    await asyncio.create_task(marketplace.read_slot(OFFER, Slot.PRODUCTION))  # part of this activity
    assert service.asked_for.count("GET submission") == 3
    await service.marketplace().read_slot(OFFER, Slot.PRODUCTION)
    assert service.asked_for.count("GET submission") == 4


# Looks


async def test_the_result_of_a_job_names_its_submission_whoever_published_since() -> None:
    outcome = {"resources": [product(), submission("preview", "12"), "odd"]}
    newer = {"value": [DRAFT, entry("preview", "13", created="2026-03-02T10:06:00Z")]}
    service = Mocked({STATUS: job(), OUTCOME: outcome, "GET submission": newer})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.PUBLISH)
    assert (report.operation_id, report.state) == ("12", OperationState.PREVIEW)


async def test_without_a_result_the_submission_of_a_job_is_found_by_time() -> None:
    listed = [
        entry("preview", "14", created="2026-03-02T11:00:00Z"),
        entry("preview", "12", created="2026-03-02T10:05:41Z"),
        entry("preview", "11", created="2026-03-01T00:00:00Z"),
    ]
    service = Mocked({STATUS: job(), "GET submission": {"value": listed}})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.PUBLISH)
    assert report.operation_id == "12"


async def test_a_submission_may_continue_after_its_job() -> None:
    running = {"value": [entry("preview", "12", "running", "pending", created="2026-03-02T10:05:41Z")]}
    service = Mocked({STATUS: job(), "GET submission": running})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.PUBLISH)
    assert (report.operation_id, report.state) == ("12", OperationState.RUNNING)


@pytest.mark.parametrize(
    ("listed", "kind"),
    [
        ([entry("preview", "12", "running", "pending")], OperationKind.PUBLISH),
        ([entry("live", "12", "running", "pending"), entry("live", "11")], OperationKind.GO_LIVE),
        ([], OperationKind.PUBLISH),
    ],
)
async def test_the_list_shows_the_kind_of_a_running_job(listed: list[object], kind: OperationKind) -> None:
    service = Mocked({STATUS: job("running", "pending"), "GET submission": {"value": listed}})
    report = await service.marketplace().look(OFFER, f"job:{JOB}")
    assert (report.kind, report.state) == (kind, OperationState.RUNNING)


async def test_a_look_at_a_running_job_of_a_known_kind_takes_one_request() -> None:
    service = Mocked({STATUS: job("running", "pending")})
    await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.GO_LIVE)
    assert service.asked_for == [STATUS]


async def test_a_job_that_was_turned_away_keeps_its_id() -> None:
    service = Mocked({STATUS: job(result="failed", errors=[IN_PROGRESS]), "GET submission": {"value": [DRAFT]}})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.PUBLISH)
    assert (report.operation_id, report.state) == (f"job:{JOB}", OperationState.TURNED_AWAY)


async def test_a_job_that_failed_after_creating_a_submission_was_not_turned_away() -> None:
    listed = {"value": [entry("preview", "12", "completed", "failed", created="2026-03-02T10:06:00Z")]}
    service = Mocked({STATUS: job(result="failed", errors=[IN_PROGRESS]), "GET submission": listed})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.PUBLISH)
    assert (report.operation_id, report.state) == ("12", OperationState.FAILED)


async def test_a_go_live_that_fails_certification_is_reported_with_its_submission() -> None:
    listed = {
        "value": [entry("live", "12", "completed", "failed", created="2026-03-02T10:06:00Z"), entry("live", "11")]
    }
    service = Mocked({STATUS: job(result="failed", errors=[CERTIFICATION]), "GET submission": listed})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.GO_LIVE)
    assert (report.operation_id, report.state) == ("12:live", OperationState.FAILED)
    assert report.errors == ["Certification: Issues were found in certification: port 22"]


@pytest.mark.parametrize("kind", [OperationKind.PUBLISH, OperationKind.GO_LIVE])
async def test_an_unknown_job_is_never_reported_from_an_older_operation(kind: OperationKind) -> None:
    older = {"value": [entry("preview", "12"), entry("live", "11")]}
    service = Mocked({STATUS: 404, "GET submission": older})
    with pytest.raises(errors.Unreadable, match=r"does not know job:.*, not yet or not any more"):
        await service.marketplace().look(OFFER, f"job:{JOB}", kind, known=["12", "11:live", "11"])
    newer = entry("preview", "13", "running", "pending", created="2026-03-02T10:06:00Z")
    service.answers["GET submission"] = [{"value": [newer, entry("live", "12"), entry("live", "11")]}]
    report = await service.marketplace().look(OFFER, f"job:{JOB}", kind, known=["12", "11:live", "11"])
    expected = {
        OperationKind.PUBLISH: ("13", OperationState.RUNNING),
        OperationKind.GO_LIVE: ("12:live", OperationState.LIVE),
    }
    assert (report.operation_id, report.state) == expected[kind]


async def test_the_first_of_several_new_publishes_belongs_to_an_unknown_job() -> None:
    new = [entry("preview", "14", created="2026-03-03T00:00:00Z"), entry("live", "13"), entry("live", "12")]
    service = Mocked({STATUS: 404, "GET submission": {"value": new}})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.PUBLISH, known=["12:live", "12"])
    assert (report.operation_id, report.state) == ("13", OperationState.PREVIEW)


async def test_a_go_live_by_others_is_never_mistaken_for_that_of_an_unknown_job() -> None:
    service = Mocked({STATUS: 404, "GET submission": {"value": [entry("live", "13"), entry("live", "11")]}})
    with pytest.raises(errors.Unreadable):
        await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.GO_LIVE, known=["12", "11:live", "11"])


@pytest.mark.parametrize("status", [404, job()])
async def test_a_second_go_live_of_a_preview_is_not_reported_from_the_failed_first_one(status: Any) -> None:
    failed = {"value": [entry("live", "12", "completed", "failed"), entry("live", "11")]}
    service = Mocked({STATUS: status, "GET submission": failed})
    known = ["12:live", "12", "11:live", "11"]
    with pytest.raises(errors.Unreadable):
        await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.GO_LIVE, known=known)
    for words in (("running", "pending"), ("completed", "succeeded")):
        service.answers["GET submission"] = [{"value": [entry("live", "12", *words), entry("live", "11")]}]
        report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.GO_LIVE, known=known)
        assert report.operation_id == "12:live"
        assert report.state in {OperationState.RUNNING, OperationState.LIVE}


async def test_a_job_that_was_turned_away_is_not_reported_from_an_older_failure() -> None:
    older = {"value": [entry("live", "11", "completed", "failed"), entry("preview", "12")]}
    service = Mocked({STATUS: job(result="failed", errors=[IN_PROGRESS]), "GET submission": older})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.GO_LIVE, known=["12", "11:live"])
    assert (report.operation_id, report.state) == (f"job:{JOB}", OperationState.TURNED_AWAY)


@pytest.mark.parametrize(
    ("kind", "listed", "state"),
    [
        (OperationKind.PUBLISH, [entry("preview", "12")], "failed"),
        (OperationKind.PUBLISH, [entry("preview", "13", "running", "pending")], "turned_away"),
        (OperationKind.GO_LIVE, [entry("preview", "12")], "failed"),
        (OperationKind.GO_LIVE, [entry("live", "11")], "turned_away"),
        (OperationKind.GO_LIVE, [entry("preview", "13")], "turned_away"),
        (OperationKind.GO_LIVE, [entry("preview", "12", "completed", "failed")], "turned_away"),
        (OperationKind.GO_LIVE, [entry("live", "12"), entry("preview", "12")], "turned_away"),
    ],
)
async def test_a_conflict_with_unknown_words_is_contention_if_something_is_in_the_way(
    kind: OperationKind, listed: list[object], state: str
) -> None:
    for error, expected in ((FOR_GOOD, state), (INVALID, "failed"), (CERTIFICATION, "failed")):
        service = Mocked({STATUS: job(result="failed", errors=[error]), "GET submission": {"value": listed}})
        report = await service.marketplace().look(OFFER, f"job:{JOB}", kind, known=["12", "11:live", "11"])
        assert (report.operation_id, report.state) == (f"job:{JOB}", expected)


async def test_a_client_distinguishes_its_own_operation_from_earlier_ones() -> None:
    older = {"value": [entry("preview", "11")]}
    service = Mocked({"POST configure": ACCEPTED, STATUS: 404, "GET submission": older})
    marketplace = service.marketplace()
    await marketplace.operations(OFFER)
    change = Change(foreign_edits=ForeignEdits.INCLUDE)
    handle = await marketplace.publish(OFFER, change, [], attempt=Attempt())
    assert handle is not None
    with pytest.raises(errors.Unreadable, match=r"does not know job:"):
        await marketplace.look(OFFER, handle, OperationKind.PUBLISH)
    service.answers["GET submission"] = [{"value": [entry("preview", "12", "running", "pending")]}]
    report = await marketplace.look(OFFER, handle, OperationKind.PUBLISH)
    assert (report.operation_id, report.state) == ("12", OperationState.RUNNING)


@pytest.mark.parametrize("kind", [OperationKind.PUBLISH, OperationKind.GO_LIVE])
async def test_a_publish_whose_job_stays_unknown_is_cancelled(kind: OperationKind) -> None:
    now = NOW
    service = Mocked({STATUS: 404, "GET submission": {"value": [entry("preview", "12")]}})
    marketplace = service.marketplace(clock=lambda: now)
    for _ in range(GONE_AFTER + 1):
        with pytest.raises(errors.Unreadable, match="look at the offer in Partner Center if this lasts"):
            await marketplace.look(OFFER, f"job:{JOB}", kind, known=["12"])
    now += UNKNOWN_FOR
    if kind is OperationKind.PUBLISH:
        report = await marketplace.look(OFFER, f"job:{JOB}", kind, known=["12"])
        assert (report.operation_id, report.state) == (f"job:{JOB}", OperationState.CANCELED)
    else:
        with pytest.raises(errors.Unreadable):
            await marketplace.look(OFFER, f"job:{JOB}", kind, known=["12"])


@pytest.mark.parametrize(
    ("created", "known", "named"),
    [
        ("2026-03-02T10:05:41Z", [], "12"),
        ("2026-03-02T12:05:41Z", [], "12"),
        ("2026-03-02T12:05:42Z", [], "13"),
        ("2026-03-02T10:05:40Z", [], "13"),
        (None, [], "13"),
        ("2026-03-02T10:05:41Z", ["12"], "13"),
    ],
)
async def test_a_submission_created_while_a_publish_ran_is_its_own(
    created: str | None, known: list[str], named: str
) -> None:
    outcome = {"resources": [submission("preview", "13")]}
    listed = {"value": [DRAFT, entry("preview", "13"), entry("preview", "12", created=created)]}
    ended = job(jobEnd="2026-03-02T12:05:41.500Z")
    service = Mocked({STATUS: ended, OUTCOME: outcome, "GET submission": listed})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.PUBLISH, known=known)
    assert report.operation_id == named
    assert (OUTCOME in service.asked_for) is (named == "13")


async def test_a_look_at_a_completed_go_live_takes_two_requests() -> None:
    service = Mocked({STATUS: job(), "GET submission": {"value": [entry("live", "12")]}})
    report = await service.marketplace().look(OFFER, f"job:{JOB}", OperationKind.GO_LIVE, known=["12", "11:live"])
    assert (report.operation_id, report.state) == ("12:live", OperationState.LIVE)
    assert service.asked_for == [STATUS, "GET product", "GET submission"]


async def test_a_publish_that_is_not_listed_any_more_counts_as_cancelled() -> None:
    service = Mocked({"GET submission": {"value": [entry("preview", "13")]}})
    marketplace = service.marketplace()
    published_over = await marketplace.look(OFFER, "12", OperationKind.PUBLISH)
    assert published_over.state is OperationState.CANCELED
    for _ in range(GONE_AFTER - 1):  # the list may lag behind
        with pytest.raises(errors.Unreadable, match="does not list submission 14 at the moment"):
            await marketplace.look(OFFER, "14", OperationKind.PUBLISH)
    gone = await marketplace.look(OFFER, "14", OperationKind.PUBLISH)
    assert gone.state is OperationState.CANCELED


async def test_unknown_words_mean_running_and_are_reported() -> None:
    service = Mocked({"GET submission/12": entry("preview", "12", "simmering", "pending")})
    report = await service.marketplace().look(OFFER, "12")
    assert (report.state, report.unknown_words) == (OperationState.RUNNING, ["simmering"])


# Definitions


DEFINITION = """{
  "resources": [
    { "$schema": "%s", "resourceName": "w", "identity": { "externalId": "webstack" }, "rank": 1.50 },
    { "$schema": "%s", "resourceName": "l", "identity": {"externalId": "lts"}, "product": {"resourceName": "w"} },
    { "$schema": "%s", "plan": {"resourceName": "l"}, "vmImageVersions": [ { "versionNumber": "1.0.0",
        "vmImages": [ { "imageType": "x64Gen2", "source": {"sourceType": "sasUri", "osDisk": {"uri": "%s"}} } ] } ] }
  ] }"""
SCHEMAS = [schema(kind) for kind in ("product", "plan", "virtual-machine-plan-technical-configuration")]


async def test_a_definition_is_sent_as_it_is_apart_from_its_schema() -> None:
    url = image("1.0.0").os_vhd_url
    definition = DEFINITION % (*SCHEMAS, url)
    service = Mocked(
        {
            "GET product": [{"value": []}, {"value": []}, {"value": [product()]}],
            "POST configure": ACCEPTED,
            STATUS: job(),
            "GET resource-tree/product draft": TREE,
        }
    )
    put = await service.marketplace().put_offer(
        OFFER,
        OfferDefinition(member="configure", text=definition),
        replace=False,
        sole_writer=True,
        attempt=Attempt(),
    )
    assert put is not None
    sent = next(each.content.decode() for each in service.requests if each.method == "POST")
    added = f',\n  "$schema": "{schema("configure", "2022-03-01-preview2")}"'
    assert sent.replace(added, "") == definition
    assert json.loads(sent)["$schema"] == schema("configure", "2022-03-01-preview2")


@pytest.mark.parametrize("handle", [None, f"job:{JOB}"])
async def test_a_put_whose_job_does_not_end_is_called_a_put(handle: str | None) -> None:
    service = Mocked(
        {
            "GET product": {"value": []},
            "POST configure": ACCEPTED,
            STATUS: job("running", "pending"),
        }
    )
    with pytest.raises(errors.Unavailable, match=r"^put fabrikam-linux/webstack: .* has not ended") as caught:
        await service.marketplace().put_offer(
            OFFER,
            OfferDefinition(member="configure", text=DEFINITION % (*SCHEMAS, image("1.0.0").os_vhd_url)),
            replace=False,
            sole_writer=True,
            attempt=Attempt(repeated=handle is not None, may_have_sent=handle is not None, handle=handle),
        )
    assert caught.value.call == "put fabrikam-linux/webstack"


async def test_a_definition_with_an_unreadable_disk_is_refused() -> None:
    unsigned = "https://elsewhere.blob.core.windows.net/vhds/a.vhd"
    definition = DEFINITION % (*SCHEMAS, unsigned)
    service = Mocked({"GET product": {"value": []}})
    with pytest.raises(errors.RuleBroken, match=r"lts 1\.0\.0.*AZURE_STORAGE_ACCOUNT_KEYS=elsewhere"):
        await service.marketplace().put_offer(
            OFFER,
            OfferDefinition(member="configure", text=definition),
            replace=False,
            sole_writer=True,
            attempt=Attempt(),
        )
    assert service.sent() == []
