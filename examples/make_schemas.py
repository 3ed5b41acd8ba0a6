# ruff: noqa: INP001 - a folder of examples, no package
"""Writes the JSON Schemas of all that is sent to the workflows and read from them: ``make schemas``.

An editor or a pipeline checks an input with them before Temporal sees it.
"""

import json
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from workflows import messages

FOLDER = Path(__file__).parent / "schemas"

INPUTS: dict[str, type[BaseModel]] = {
    "CreateOfferAndPublish": messages.CreateOfferAndPublishInput,
    "UpdateOfferAndPublish": messages.UpdateOfferAndPublishInput,
    "ValidateAndGoLive": messages.ValidateAndGoLiveInput,
    "CheckLastOperationStatus": messages.CheckLastOperationStatusInput,
    "approve_go_live": messages.ApproveGoLive,
    "reject_go_live": messages.RejectGoLive,
    "decide_go_live": messages.DecideGoLive,
}
ANSWERS: dict[str, type[BaseModel]] = {
    "result": messages.PublicationResult,
    "progress": messages.Progress,
}


def schemas() -> dict[str, str]:
    """Return the text of each schema by its file's name."""
    texts = {f"{name}.json": _schema(name, model, "validation") for name, model in INPUTS.items()}
    return texts | {f"{name}.json": _schema(name, model, "serialization") for name, model in ANSWERS.items()}


def _schema(name: str, model: type[BaseModel], mode: JsonSchemaMode) -> str:
    members = model.model_json_schema(mode=mode) | {"title": name}
    members = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | members
    return json.dumps(members, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
