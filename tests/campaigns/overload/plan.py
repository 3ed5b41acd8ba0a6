"""The runs of an overload: one publisher has most of them, and ten have a few each."""

from dataclasses import dataclass
from typing import Any

GREEDY = "greedy"
SMALL = tuple(f"small-{number}" for number in range(1, 11))
SHARE_OF_THE_GREEDY = 0.75
FEWEST = 40
"""With fewer runs the small publishers would get none."""

ONE_IN = {"ValidateAndGoLive": 50, "UpdateOfferAndPublish": 17}
"""One in this many runs is of the workflow. All other runs look once at a settled operation."""

ENDS = {"CheckLastOperationStatus": "preview", "UpdateOfferAndPublish": "preview", "ValidateAndGoLive": "live"}
APPROVER = "dana@fabrikam.example"

SETTLED = "settled"
"""The offer that a publisher's runs look at. Every other run has its own offer."""


@dataclass(frozen=True)
class Run:
    """One run to start."""

    publisher: str
    workflow: str
    id: str
    start: dict[str, Any]


def plan(runs: int) -> list[Run]:
    """Return the runs. The runs of the greedy publisher come first."""
    greedy = round(runs * SHARE_OF_THE_GREEDY)
    shares = {GREEDY: greedy} | dict.fromkeys(SMALL, (runs - greedy) // len(SMALL))
    return [_run(publisher, number) for publisher, count in shares.items() for number in range(1, count + 1)]


def _run(publisher: str, number: int) -> Run:
    workflow = next((kind for kind, every in ONE_IN.items() if number % every == 0), "CheckLastOperationStatus")
    start: dict[str, Any] = {"publisher_id": publisher, "offer_id": SETTLED, "wait": False}
    if workflow != "CheckLastOperationStatus":
        disk = "https://fabrikamimages.blob.core.windows.net/vhds/webstack-4.3.0.vhd"
        start = {
            "publisher_id": publisher,
            "offer_id": f"offer-{number}",
            "images": [{"plan_id": "webstack-lts", "version": "4.3.0", "os_vhd_url": disk}],
            "polling": {"min_interval": "PT1S", "max_interval": "PT10S"},
        }
    if workflow == "ValidateAndGoLive":
        start["approval"] = {"approvers": [APPROVER]}
    return Run(publisher, workflow, f"{publisher}/{number}", start)
