"""Faults: what goes wrong on demand."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

CallName: TypeAlias = Literal[
    "list_offers",
    "read_offer",
    "put_offer",
    "offer_status",
    "publish",
    "go_live",
    "cancel",
    "list_operations",
    "read_operation",
    "list_products",
    "list_plans",
    "read_tree",
    "read_resource",
    "list_submissions",
    "read_submission",
    "configure_draft",
    "configure_preview",
    "configure_live",
    "read_job",
    "read_job_detail",
    "cancel_job",
]

SlotName: TypeAlias = Literal["Draft", "Preview", "Production"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Respond(_Strict):
    """Give this answer and do nothing."""

    kind: Literal["respond"]
    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""


class RespondAfter(_Strict):
    """Do what the call asks for, then give this answer."""

    kind: Literal["respond_after"]
    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""


class Delay(_Strict):
    """Wait for some real seconds, before the call's effect or between its effect and its answer."""

    kind: Literal["delay"]
    seconds: float = Field(ge=0)
    when: Literal["before", "after"] = "before"


class Drop(_Strict):
    """Close the connection without an answer, before or after the call's effect."""

    kind: Literal["drop"]
    when: Literal["before", "after"] = "before"


class Truncate(_Strict):
    """Announce the whole answer, send its first bytes and close the connection."""

    kind: Literal["truncate"]
    bytes: int = Field(default=10, ge=0)


class StrangerEdit(_Strict):
    """Somebody else adds an image version to the draft."""

    kind: Literal["stranger_edit"]
    plan_id: str | None = Field(default=None, description="default: the first plan")
    version: str | None = Field(default=None, description="default: one patch above the newest version")
    when: Literal["before", "after"] = "before"


class StrangerAct(_Strict):
    """Somebody else publishes, cancels or goes live."""

    kind: Literal["stranger_publish", "stranger_cancel", "stranger_go_live"]
    when: Literal["before", "after"] = "before"


class StrangerChange(_Strict):
    """Somebody else changes a text in the draft."""

    kind: Literal["stranger_change"]
    resource: str = Field(default="listing", description="the type of the changed resource, such as plan-listing")
    plan_id: str | None = None
    text: str = "Changed by somebody else."
    when: Literal["before", "after"] = "before"


class ExpireTokens(_Strict):
    """Refuse every token issued so far, and the token of this call."""

    kind: Literal["expire_tokens"]


Stranger: TypeAlias = Annotated[StrangerEdit | StrangerChange | StrangerAct, Field(discriminator="kind")]
Action: TypeAlias = Annotated[
    Respond | RespondAfter | Delay | Drop | Truncate | StrangerEdit | StrangerChange | StrangerAct | ExpireTokens,
    Field(discriminator="kind"),
]


class Fault(_Strict):
    """An action, and the calls that it hits."""

    id: int = 0
    call: CallName | Literal["any"] = "any"
    slot: SlotName | None = None
    offer: str | None = None
    times: int = Field(default=1, ge=-1, description="how many calls to hit; -1: all until it is removed")
    after: int = Field(default=0, ge=0, description="let this many matching calls pass first")
    action: Action

    def matches(self, call: str, offer_id: str | None, slot: str | None) -> bool:
        """Return whether the fault hits this call."""
        return (
            self.call in ("any", call)
            and (self.offer is None or self.offer == offer_id)
            and (self.slot is None or self.slot.casefold() == (slot or "").casefold())
        )


class StepFault(_Strict):
    """How a step of an operation goes wrong.

    Attributes:
        outcome: How the step ends; None only changes how long it takes.
        operation_stays_running: Whether the operation shows as running although the step has failed.
    """

    outcome: Literal["fail", "block", "reject", "never"] | None = None
    messages: list[str] = Field(default_factory=list, description="HTML, as certification sends it")
    duration_seconds: float | None = Field(default=None, ge=0)
    operation_stays_running: bool = False


def take_due(faults: list[Fault], call: str, offer_id: str | None, slot: str | None) -> list[Action]:
    """Return the actions that hit one call, and remove faults that are used up.

    At most one of the actions replaces the answer. A further fault that would replace it waits for the next call.
    """
    due: list[Action] = []
    answered = False
    for fault in list(faults):
        if fault.times == 0 or not fault.matches(call, offer_id, slot):
            continue
        if fault.after > 0:
            fault.after -= 1
            continue
        answers = isinstance(fault.action, Respond | RespondAfter | Drop | Truncate)
        if answers and answered:
            continue
        answered = answered or answers
        due.append(fault.action)
        if fault.times > 0:
            fault.times -= 1
        if fault.times == 0:
            faults.remove(fault)
    return due
