"""Nested errors are reported and classified."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace import errors
from marketplace.http.answers import Answer
from marketplace.product_ingestion import failures
from tests.marketplace.product_ingestion.mocked import OFFER, Mocked

CERTIFICATION = {
    "code": "internalServerError",
    "message": "An error occurred",
    "details": [
        {
            "code": "invalidState",
            "message": "Certification",
            "details": [{"code": "invalidState", "message": "Issues were found in <b>certification</b>: port 22"}],
        }
    ],
}
IN_PROGRESS = {
    "code": "conflict",
    "message": "Operation failed",
    "resourceId": "submission/p/0",
    "details": [{"code": "invalidState", "message": "A submission is already in progress", "details": []}],
}
FOR_GOOD = {
    "code": "conflict",
    "message": "Operation failed",
    "details": [{"code": "invalidState", "message": "The payout profile is incomplete.", "details": []}],
}
INVALID = {
    "code": "badRequest",
    "message": "invalid resource",
    "details": [
        {"code": "schemaValidationError", "message": "skuId is wrong", "resourceId": {"externalId": "lts"}},
        {"code": "businessValidationError", "message": "no image", "resourceId": "plan/p/l", "details": {}},
    ],
}
FULL = {"code": "badRequest", "details": [{"code": "collectionLimitExceeded", "message": "100 at most"}]}


def test_the_innermost_errors_are_reported_with_their_resources() -> None:
    assert failures.innermost(failures.read([INVALID])) == [
        "schemaValidationError: skuId is wrong (lts)",
        "businessValidationError: no image (plan/p/l)",
    ]
    assert failures.innermost(failures.read([IN_PROGRESS])) == [
        "invalidState: A submission is already in progress (submission/p/0)"
    ]


def test_messages_are_reported_without_markup() -> None:
    [message] = failures.innermost(failures.read([CERTIFICATION]))
    assert message == "invalidState: Issues were found in certification: port 22"


@pytest.mark.parametrize("details", [None, {}, [], "nothing", [None], 7])
def test_details_may_have_any_shape(details: object) -> None:
    assert failures.innermost(failures.read([{"code": "notFound", "message": "gone", "details": details}])) == [
        "notFound: gone"
    ]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (IN_PROGRESS, errors.Conflict),
        (FOR_GOOD, errors.Refused),
        ({"code": "conflict"}, errors.Refused),
        ({"code": "locked"}, errors.Conflict),
        ({"code": "badRequest", "details": [{"code": "productLocked", "message": "wait"}]}, errors.Conflict),
        ({"code": "badRequest", "message": "It cannot be pushed because it is not the latest."}, errors.Conflict),
        (INVALID, errors.Invalid),
        ({"code": "conflict", "details": [INVALID]}, errors.Invalid),
        (FULL, errors.Invalid),
        (CERTIFICATION, errors.Refused),
        ({"code": "internalServerError", "message": "oops"}, errors.Unavailable),
        ({"code": "badRequest", "details": [{"code": "notSupported", "message": "no"}]}, errors.Refused),
        ({"code": "badRequest", "message": "PlanId lts is locked by a previous submission"}, errors.Refused),
    ],
)
def test_errors_are_classified_by_clear_codes_and_by_their_words(
    error: dict[str, Any], expected: type[Exception]
) -> None:
    assert failures.error_of(failures.read([error])) is expected


def test_certification_is_recognised_by_its_shape() -> None:
    assert failures.is_certification(failures.read([CERTIFICATION]))
    assert not failures.is_certification(failures.read([IN_PROGRESS, INVALID]))
    assert not failures.is_contention(failures.read([{"code": "conflict", "details": [CERTIFICATION]}]))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, IN_PROGRESS, errors.Conflict),
        (400, FOR_GOOD, None),
        (400, INVALID, errors.Invalid),
        (400, FULL, errors.Invalid),
        (400, {"code": "badRequest", "message": "no such target"}, None),
        (404, IN_PROGRESS, None),
        (500, IN_PROGRESS, None),
    ],
)
def test_the_body_of_a_refusal_decides_its_error(status: int, body: object, expected: object) -> None:
    answer = Answer(status, httpx.Headers(), json.dumps({"error": body}))
    assert failures.error_of_answer(answer) is expected


@pytest.mark.parametrize("status", [409, 423])
async def test_contention_is_recognised_by_the_status_alone(status: int) -> None:
    service = Mocked({"GET submission": httpx.Response(status, json={"error": FOR_GOOD})})
    with pytest.raises(errors.Conflict):
        await service.marketplace().operations(OFFER)


@pytest.mark.parametrize("text", ["", "<html>", '{"error": ', "[]", "null", '"x"', "[" * 10_000])
def test_a_refusal_may_have_any_body(text: str) -> None:
    assert failures.error_of_answer(Answer(400, httpx.Headers(), text)) is failures.UnexplainedRefusal
    assert failures.error_of_answer(Answer(404, httpx.Headers(), text)) is failures.UnexplainedAbsence
    assert failures.error_of_answer(Answer(409, httpx.Headers(), text)) is None
    assert isinstance(failures.words_of(text), str)


def test_a_refusal_is_reported_with_its_innermost_errors() -> None:
    assert failures.words_of(json.dumps({"error": IN_PROGRESS})).startswith("invalidState: A submission is already")
    assert failures.words_of('{"Message": "Something else"}') == "Something else"
    assert failures.words_of('{"error": {"code": "badRequest"}}') == "badRequest"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["conflict", "certification"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["code", "message", "details", "resourceId", "error"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(anything)
def test_errors_of_any_shape_are_accepted(body: object) -> None:
    found = failures.read(body)
    failures.innermost(found)
    assert failures.error_of(found) in {errors.Conflict, errors.Invalid, errors.Unavailable, errors.Refused}


def test_endless_errors_are_cut_off() -> None:
    nested: dict[str, Any] = {"code": "a", "message": "deep"}
    for _ in range(200):
        nested = {"code": "a", "message": "m", "details": [nested, nested]}
    assert 0 < len(failures.innermost(failures.read(nested))) <= failures.MAX_LEAVES
