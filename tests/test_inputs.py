"""A wrong input is refused at once, with every wrong member and without a secret."""

import json
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tests.desk import Desk, failure_of
from workflows.inputs import several, validated
from workflows.messages import (
    CheckLastOperationStatusInput,
    CreateOfferAndPublishInput,
    UpdateOfferAndPublishInput,
    ValidateAndGoLiveInput,
)

pytestmark = pytest.mark.only("cloud-partner", "the API makes no difference to how an input is read")

SECRET = "sv=2022&sig=TOPSECRET"
VHD = f"https://images.blob.core.windows.net/vhds/web.vhd?{SECRET}"
OFFER: dict[str, Any] = {"publisher_id": "fabrikam", "offer_id": "web"}
IMAGE: dict[str, Any] = {"plan_id": "lts", "version": "1.0.0", "os_vhd_url": VHD}
UPDATE: dict[str, Any] = {**OFFER, "images": [IMAGE]}
GUID = "11111111-2222-3333-4444-555555555555"
GALLERY = (
    f"/subscriptions/{GUID}/resourceGroups/images/providers/Microsoft.Compute/galleries/fabrikam"
    "/images/web/versions/1.0.0"
)
FROM_GALLERY: dict[str, Any] = {"plan_id": "lts", "version": "1.0.0", "gallery_image_id": GALLERY}
PRODUCT = {"$schema": "https://schema.mp.microsoft.com/schema/product/2022-03-01-preview3"}
CONFIGURE: dict[str, Any] = {
    "$schema": "https://schema.mp.microsoft.com/schema/configure/2022-03-01-preview2",
    "resources": [{**PRODUCT, "identity": {"externalId": "web"}}],
}
CREATE: dict[str, Any] = {"publisher_id": "fabrikam", "configure": CONFIGURE}
MODELS: dict[str, type[BaseModel]] = {
    "CreateOfferAndPublish": CreateOfferAndPublishInput,
    "UpdateOfferAndPublish": UpdateOfferAndPublishInput,
    "ValidateAndGoLive": ValidateAndGoLiveInput,
    "CheckLastOperationStatus": CheckLastOperationStatusInput,
}


def json_payload(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


def refusal(model: type[Any], sent: RawValue) -> str:
    """Read an input that has to be refused. Return the message."""
    with pytest.raises(ApplicationError) as refused:
        validated(model, sent)
    assert refused.value.type == "InvalidInput"
    assert refused.value.non_retryable
    return refused.value.message


WRONG = [
    ({**OFFER}, ["images: is missing"]),
    (
        {**UPDATE, "imagse": 1, "when_full": "maybe"},
        ["imagse: is not a known member (did you mean images?)", "when_full: should be"],
    ),
    (
        {**UPDATE, "images": [{**IMAGE, "offer_id": 1, "data_disk": []}]},
        [
            "images.0.offer_id: is not a known member; images.0.data_disk",
            "images.0.data_disk: is not a known member (did you mean data_disks?)",
        ],
    ),
    ({**UPDATE, "images": [{**IMAGE, "version": "1.0"}]}, ["images.0.version: must be three whole numbers"]),
    ({**UPDATE, "images": [{**IMAGE, "version": "1.0.0-rc1"}]}, ["images.0.version: must be three whole numbers"]),
    ({**UPDATE, "images": [{**IMAGE, "version": f"1.{'0' * 19}.0"}]}, ["images.0.version: ", "at most 18 digits"]),
    ({**UPDATE, "images": [{**IMAGE, "version": "1.\u0662.0"}]}, ["images.0.version: must be three whole numbers"]),
    ({**UPDATE, "images": [{**IMAGE, "version": 100}]}, ["images.0.version: should be a valid string"]),
    ({**UPDATE, "images": [{**IMAGE, "plan_id": "LTS!"}]}, ["images.0.plan_id: must match"]),
    ({**UPDATE, "offer_id": "../x", "publisher_id": "a/b"}, ["offer_id: must match", "publisher_id: must match"]),
    ({**UPDATE, "images": [{**IMAGE, "os_vhd_url": f"ftp://x/a.vhd?{SECRET}"}]}, ["images.0.os_vhd_url: "]),
    ({**UPDATE, "images": [{**IMAGE, "os_vhd_url": f"https://x/a.iso?{SECRET}"}]}, ["images.0.os_vhd_url: "]),
    ({**UPDATE, "images": [IMAGE, IMAGE]}, ["a version of a plan is named twice"]),
    ({**UPDATE, "images": []}, ["images: "]),
    ({**UPDATE, "images": VHD}, ["images: should be a valid"]),
    ({**UPDATE, "deadline": "soon"}, ["deadline: "]),
    ({**UPDATE, "deadline": 0}, ["deadline: should be greater than"]),
    ({**UPDATE, "deadline": 1e300}, ["deadline: "]),
    ({**UPDATE, "deadline": True}, ["deadline: "]),
    ({**UPDATE, "polling": {"min_interval": 0.01}}, ["polling.min_interval: should be greater than or equal"]),
    ({**UPDATE, "polling": {"min_interval": "PT2H"}}, ["polling: min_interval must not be longer"]),
    ({**UPDATE, "max_versions_per_plan": 10**30}, ["max_versions_per_plan: "]),
    ({**UPDATE, "max_versions_per_plan": "8"}, ["max_versions_per_plan: should be a valid integer"]),
    ({**UPDATE, "notification_emails": ["nobody"]}, ["notification_emails.0: must match"]),
    ({**UPDATE, "images": [{"plan_id": "lts", "version": "1.0.0"}]}, ["images.0: exactly one of os_vhd_url and"]),
    ({**UPDATE, "images": [IMAGE, {**IMAGE, **FROM_GALLERY}]}, ["images.1: exactly one of os_vhd_url and"]),
    (
        {**UPDATE, "images": [{**FROM_GALLERY, "data_disks": [{"lun": 0, "vhd_url": VHD}]}]},
        ["images.0: data_disks: a gallery image brings its own"],
    ),
    (
        {**UPDATE, "images": [{**FROM_GALLERY, "gallery_image_id": f"{GALLERY}?{SECRET}"}]},
        ["images.0.gallery_image_id: must match"],
    ),
    (
        {**UPDATE, "images": [{**FROM_GALLERY, "gallery_image_id": 7, "gallery_tenant_id": "fabrikam"}]},
        ["images.0.gallery_image_id: should be a valid string", "images.0.gallery_tenant_id: must match"],
    ),
    ({**UPDATE, "images": [{**IMAGE, "gallery_tenant_id": GUID}]}, ["images.0: gallery_tenant_id goes with"]),
    ({**UPDATE, "images": [{**IMAGE, "sku": "lts"}]}, ["images.0.sku: should be a"]),
    ({**UPDATE, "images": [{**IMAGE, "sku": {}}]}, ["images.0.sku.id: is missing"]),
    (
        {**UPDATE, "images": [{**IMAGE, "sku": {"id": "LTS", "security_types": ["any"], "image_type": "x"}}]},
        [
            "images.0.sku.id: must match",
            "images.0.sku.security_types.0: should be 'trusted' or 'confidential'",
            "images.0.sku.image_type: is not a known member",
        ],
    ),
    ({**UPDATE, "publish": "some"}, ["publish: should be 'whole' or 'modular'"]),
    ({**UPDATE, "publish": None}, ["publish: should be"]),
    ({**UPDATE, "foreign_edits": "ignore"}, ["foreign_edits: should be 'fail' or 'include'"]),
    ({**UPDATE, "foreign_edits": True}, ["foreign_edits: should be"]),
    ({**UPDATE, "deprecation": None}, ["deprecation: should be"]),
    (
        {**UPDATE, "deprecation": {"notice": "soon", "reason": "old", "alternative_plan_id": "LTS!", "why": 1}},
        [
            "deprecation.notice: ",
            "deprecation.reason: should be 'criticalSecurityIssue', 'endOfSupport' or 'other'",
            "deprecation.alternative_plan_id: must match",
            "deprecation.why: is not a known member",
        ],
    ),
    ({**UPDATE, "deprecation": {"notice": -1}}, ["deprecation.notice: should be greater than or equal"]),
    ({**UPDATE, "deprecation": {"notice": "P20Y"}}, ["deprecation.notice: should be less than or equal"]),
    ([UPDATE], ["should be an object"]),
    (VHD, ["should be an object"]),
    (7, ["should be an object"]),
    (None, ["publisher_id: is missing", "offer_id: is missing", "images: is missing"]),
]


@pytest.mark.parametrize(("sent", "named"), WRONG, ids=[" ".join(named)[:60] for _, named in WRONG])
def test_every_wrong_member_is_named_and_no_secret_is_quoted(sent: object, named: list[str]) -> None:
    message = refusal(UpdateOfferAndPublishInput, json_payload(json.dumps(sent).encode()))
    assert message.startswith("UpdateOfferAndPublishInput: ")
    assert all(each in message for each in named), message
    assert "SECRET" not in message


def configured(*resources: object, **more: Any) -> dict[str, Any]:
    """Make the input of `CreateOfferAndPublish` from resources."""
    return {**CREATE, "configure": {**CONFIGURE, "resources": list(resources)}} | more


SUBMISSION = {"$schema": "https://schema.mp.microsoft.com/schema/submission/2022-03-01-preview2"}
WRONG_CREATIONS = [
    ({}, ["exactly one of offer and configure is needed"]),
    ({"publisher_id": "fabrikam"}, ["exactly one of offer and configure is needed"]),
    ({"configure": CONFIGURE}, ["publisher_id belongs to configure"]),
    ({**CREATE, "publisher_id": "a/b"}, ["publisher_id: must match"]),
    ({**CREATE, "offer": CONFIGURE}, ["offer.publisherId: is missing", "offer.definition: is missing"]),
    ({**CREATE, "offer_id": "web"}, ["offer_id: is not a known member"]),
    ({**CREATE, "images": [IMAGE]}, ["images: is not a known member"]),
    ({**CREATE, "configure": VHD}, ["configure: should be"]),
    ({**CREATE, "configure": {}}, ["configure.$schema: is missing", "configure.resources: is missing"]),
    ({**CREATE, "configure": {**CONFIGURE, "resources": {}}}, ["configure.resources: should be"]),
    (configured(), ["configure.resources: "]),
    (configured(VHD), ["configure.resources.0: should be"]),
    (configured({"id": VHD}), ["configure: resources: exactly one product with identity.externalId is needed"]),
    (configured(PRODUCT), ["configure: resources: exactly one product"]),
    (configured({**PRODUCT, "identity": VHD}), ["configure: resources: exactly one product"]),
    (configured(*CONFIGURE["resources"] * 2), ["configure: resources: exactly one product"]),
    (configured({**PRODUCT, "identity": {"externalId": VHD}}), ["configure: the external id of the product must"]),
    (configured(*CONFIGURE["resources"], SUBMISSION), ["configure: resources: a submission is not part of an offer"]),
    (
        configured(*CONFIGURE["resources"], {"id": f"submission/{GUID}/0"}),
        ["configure: resources: a submission is not part of an offer"],
    ),
]


@pytest.mark.parametrize(
    ("sent", "named"), WRONG_CREATIONS, ids=[" ".join(named)[:60] for _, named in WRONG_CREATIONS]
)
def test_every_wrong_member_of_a_new_offer_is_named_and_no_secret_is_quoted(sent: object, named: list[str]) -> None:
    message = refusal(CreateOfferAndPublishInput, json_payload(json.dumps(sent).encode()))
    assert message.startswith("CreateOfferAndPublishInput: ")
    assert all(each in message for each in named), message
    assert "SECRET" not in message


@pytest.mark.parametrize("spelling", ["externalId", "externalID"])
def test_the_offer_id_of_a_configure_document_is_the_external_id_of_its_product(spelling: str) -> None:
    sent = configured({"id": "product/new", "identity": {spelling: "web"}}, {"$schema": "x", "any": [1.50]})
    start = validated(CreateOfferAndPublishInput, json_payload(json.dumps(sent).encode()))
    assert (str(start.key), start.member) == ("fabrikam/web", "configure")


@pytest.mark.parametrize(
    "sent",
    [
        several(2),
        json_payload(b"{", b"json/plain"),
        json_payload(b"\xff\xfe{}"),
        json_payload(b"\x00" * 100),
        json_payload(b"[" * 100_000),
        json_payload(b'{"images":' * 10_000),
        json_payload(b"{}", b"binary/plain"),
        json_payload(b"\x0a\x02hi", b"binary/protobuf"),
        json_payload(b"{}", b"\xff\xff"),
        json_payload(b'{"deadline": NaN}'),
        json_payload(b'{"deadline": 1e999}'),
        json_payload(b'"\\ud800"'),
    ],
    ids=[
        *("two values", "cut off", "utf-16", "zeros", "deep list", "deep object", "binary/plain", "binary/protobuf"),
        *("no encoding", "NaN", "infinity", "lone surrogate"),
    ],
)
def test_bytes_that_hold_no_input_are_refused_with_a_bounded_message(sent: RawValue) -> None:
    for model in MODELS.values():
        assert len(refusal(model, sent)) < 2100


@pytest.mark.parametrize(
    "text",
    [
        '{"publisher_id": "a", "publisher_id": "b", "offer_id": "web"}',
        '{"publisher_id": "a", "offer_id": "web", "polling": {"min_interval": 60, "min_interval": 90}}',
    ],
    ids=["at the top", "nested"],
)
def test_a_member_that_is_given_twice_is_refused(text: str) -> None:
    message = refusal(CheckLastOperationStatusInput, json_payload(text.encode()))
    assert message.endswith("is given twice")


@pytest.mark.parametrize("version", ["4.2.1", "0.0.0", "2026.03.01", "007.0.00", f"{'9' * 18}.0.0"])
def test_a_version_is_three_whole_numbers_and_keeps_its_spelling(version: str) -> None:
    sent = {**UPDATE, "images": [{**IMAGE, "version": version}]}
    start = validated(UpdateOfferAndPublishInput, json_payload(json.dumps(sent).encode()))
    assert [image.version for image in start.images] == [version]


@pytest.mark.parametrize("name", ["deadline", "polling"])
@pytest.mark.parametrize("seconds", [90, 90.0, "PT90S", "PT1M30S"])
def test_a_duration_is_iso_8601_or_seconds(name: str, seconds: object) -> None:
    sent = {**OFFER, name: seconds if name == "deadline" else {"min_interval": seconds}}
    start = validated(CheckLastOperationStatusInput, json_payload(json.dumps(sent).encode()))
    assert (start.deadline if name == "deadline" else start.polling.min_interval).total_seconds() == 90


@pytest.mark.parametrize("workflow", MODELS)
async def test_a_run_with_a_wrong_input_fails_at_once_and_retries_no_task(desk: Desk, workflow: str) -> None:
    wrong: list[list[object]] = [
        [{**UPDATE, "publish": "some"}],
        [{**UPDATE, "images": [{**FROM_GALLERY, **IMAGE}]}],
        [{"configure": CONFIGURE}],
        [],
        [None],
        [[1, 2]],
        [{**UPDATE, "offer": {}, "offer_id": VHD, "nonsense": 1}],
        [{}, {}],
        [json_payload(b"\xff")],
        [json_payload(b"{}", b"binary/plain")],
    ]
    for number, sent in enumerate(wrong):
        run = await desk.temporal.client.start_workflow(
            workflow, args=sent, id=f"{desk.publisher}/{workflow}-wrong-{number}", task_queue=desk.task_queue
        )
        error = await failure_of(run)
        assert (error.type, error.non_retryable) == ("InvalidInput", True)
        assert error.message.startswith(f"{workflow}Input: ")
        assert "SECRET" not in error.message
        events = [event.event_type async for event in run.fetch_history_events()]
        assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in events
