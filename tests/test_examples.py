"""The examples are valid inputs of the workflows, and the schemas are up to date."""

from pathlib import Path
from typing import Protocol, cast

import pytest
from pydantic import BaseModel

from examples.make_schemas import FOLDER, INPUTS, schemas
from marketplace import sas
from marketplace.model import OfferKey

EXAMPLES = Path(__file__).parent.parent / "examples"
EXAMPLE_OF = {
    "create.json": "CreateOfferAndPublish",
    "create-another.json": "CreateOfferAndPublish",
    "update.json": "UpdateOfferAndPublish",
    "go-live.json": "ValidateAndGoLive",
    "check.json": "CheckLastOperationStatus",
    "product-ingestion/create.json": "CreateOfferAndPublish",
    "product-ingestion/create-another.json": "CreateOfferAndPublish",
    "product-ingestion/update.json": "UpdateOfferAndPublish",
    "product-ingestion/update-gallery.json": "UpdateOfferAndPublish",
    "product-ingestion/update-several-types.json": "UpdateOfferAndPublish",
    "product-ingestion/go-live.json": "ValidateAndGoLive",
}


class Addressed(Protocol):
    """An input that names an offer."""

    @property
    def key(self) -> OfferKey: ...


def model_of(example: str) -> type[BaseModel]:
    return INPUTS[EXAMPLE_OF[example]]


def test_the_schemas_are_up_to_date() -> None:
    written = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert written == schemas(), "run `make schemas`"


def test_every_example_is_tested() -> None:
    named = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.json") if path.parent != FOLDER}
    assert named == set(EXAMPLE_OF)


@pytest.mark.parametrize("example", EXAMPLE_OF)
def test_an_example_is_a_valid_input(example: str) -> None:
    model_of(example).model_validate_json((EXAMPLES / example).read_text())


@pytest.mark.parametrize("example", EXAMPLE_OF)
def test_an_example_holds_no_secret(example: str) -> None:
    text = (EXAMPLES / example).read_text()
    assert sas.redacted(text) == text
    assert "sig=" not in text


@pytest.mark.parametrize("example", [each for each in EXAMPLE_OF if not each.endswith("create-another.json")])
def test_an_example_is_about_the_sample_offer(example: str) -> None:
    given = cast("Addressed", model_of(example).model_validate_json((EXAMPLES / example).read_text()))
    assert str(given.key) == "fabrikam-linux/webstack-appliance"
