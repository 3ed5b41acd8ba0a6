"""The choices of the state machine: the marketplace's behaviour, what people want, and what goes wrong."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from hypothesis import strategies as st

from tests.campaigns.apis import CLOUD_PARTNER, PRODUCT_INGESTION, CampaignApi
from tests.campaigns.model.entities import Rules
from tests.campaigns.model.inputs import PLANS
from tests.campaigns.model.rig import STEP_SECONDS
from tests.campaigns.switches import REFUSING_EDITS

DANA, LEE, MALLORY = "dana@fabrikam.example", "lee@fabrikam.example", "mallory@fabrikam.example"
OPEN_RUNS = 4
"""The maximum number of open runs on the offer. More would only take longer."""

SWITCHES: dict[CampaignApi, Sequence[dict[str, Any]]] = {
    CLOUD_PARTNER: (
        {},
        {"cancel_async": True, "cancel_seconds": STEP_SECONDS},
        {"second_publish": "replace"},
        {"second_publish": "join"},
        {"sign_off_by": "operation_completed"},
        {"conflict_status": 409, "location_form": "none"},
        {"cancel_window": "sign_off_only"},
        {"preview_cleared_after_go_live": True},
        REFUSING_EDITS,
    ),
    PRODUCT_INGESTION: (
        {},
        {"cancel_async": True, "cancel_seconds": STEP_SECONDS, "canceled_submission": "cancelled"},
        {"after_go_live": "second_live", "contention": "423"},
        {"after_go_live": "preview_and_live", "contention": "400"},
        {"draft_changes": "completed", "draft_job_reads": 3, "contention": "job"},
        {"job_retention_seconds": 1, "no_pending_draft": "absent"},
        {"canceled_submission": "failed", "page_size": 1, "submissions_order": "shuffled"},
        {"tree_absent_status": 404, "error_details": "absent", "configuration_id": "refused"},
        REFUSING_EDITS | {"contention": "job", "failed_jobs_apply": "everything"},
        REFUSING_EDITS,
    ),
}
RULES_OF_API = {
    CLOUD_PARTNER: Rules(),
    PRODUCT_INGESTION: Rules(versions_grow=False, cancels_all=False, newest_of_draft_stays=True, forgets=True),
}
TROUBLE: dict[str, dict[str, Any]] = {
    "is answered 503": {"kind": "respond", "status": 503},
    "has its effect and is answered 503": {"kind": "respond_after", "status": 503},
    "loses its connection": {"kind": "drop"},
    "has its effect and loses its connection": {"kind": "drop", "when": "after"},
    "comes just after a stranger's edit": {"kind": "stranger_edit"},
    "comes just before a stranger's edit": {"kind": "stranger_edit", "when": "after"},
    "comes just after a stranger's change": {"kind": "stranger_change"},
    "comes just before a stranger's change": {"kind": "stranger_change", "when": "after"},
    "comes just after a stranger's publish": {"kind": "stranger_publish"},
    "comes just before a stranger's publish": {"kind": "stranger_publish", "when": "after"},
    "comes just after a stranger's go-live": {"kind": "stranger_go_live"},
    "comes just after a stranger's cancel": {"kind": "stranger_cancel"},
    "comes just before a stranger's cancel": {"kind": "stranger_cancel", "when": "after"},
}
"""What may happen to a request, by the words for it in the list of steps."""

Wanted: TypeAlias = Sequence[tuple[str, Literal["next", "same", "other disk"]]]
"""Images that a run wants: for each plan the next version, the last one again, or the last one with another disk."""

A_RUN = st.integers(0, OPEN_RUNS - 1)
APPROVERS = st.sampled_from([(), (DANA,), (DANA, LEE)])
IF_PUBLISHING = st.sampled_from(["wait", "wait", "cancel", "fail"])
LIMITS = st.sampled_from([8, 8, 2])
PEOPLE = st.sampled_from([DANA, LEE, MALLORY, None])
IMAGES = st.lists(
    st.tuples(st.sampled_from(PLANS), st.sampled_from(["next", "next", "same", "other disk"])),
    min_size=1,
    max_size=2,
    unique_by=lambda each: each[0],
)
NO_IMAGES: st.SearchStrategy[list[Any]] = st.just([])
