"""What goes wrong on demand."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Call: TypeAlias = Literal[
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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Respond(_Strict):
    """Answer this instead of doing anything."""

    kind: Literal["respond"]
    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""


class RespondAfter(_Strict):
    """Do what was asked, then answer this."""

    kind: Literal["respond_after"]
    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""


class Delay(_Strict):
    """Wait in real seconds: before the call is looked at, or after its effect, before it is answered."""

    kind: Literal["delay"]
    seconds: float = Field(ge=0)
    when: Literal["before", "after"] = "before"


class Drop(_Strict):
    """Close the connection without an answer, before or after the effect."""

    kind: Literal["drop"]
    when: Literal["before", "after"] = "before"


class Truncate(_Strict):
    """Announce the whole answer, send its first bytes and close the connection."""

    kind: Literal["truncate"]
    bytes: int = Field(default=10, ge=0)


class StrangerEdit(_Strict):
    """Somebody else adds an image version to the draft."""

    kind: Literal["stranger_edit"]
    plan_id: str | None = Field(default=None, description="the first plan unless given")
    version: str | None = Field(default=None, description="one patch above the newest unless given")
    when: Literal["before", "after"] = "before"


class StrangerAct(_Strict):
    """Somebody else publishes, cancels or goes live."""

    kind: Literal["stranger_publish", "stranger_cancel", "stranger_go_live"]
    when: Literal["before", "after"] = "before"


class StrangerChange(_Strict):
    """Somebody else writes into the draft what is no image version."""

    kind: Literal["stranger_change"]
    resource: str = Field(default="listing", description="a type of resource, plan-listing for one of a plan")
    plan_id: str | None = None
    text: str = "Changed by somebody else."
    when: Literal["before", "after"] = "before"


class ExpireTokens(_Strict):
    """Refuse every token seen so far, the one of this call included."""

    kind: Literal["expire_tokens"]


Stranger: TypeAlias = Annotated[StrangerEdit | StrangerChange | StrangerAct, Field(discriminator="kind")]
Action: TypeAlias = Annotated[
    Respond | RespondAfter | Delay | Drop | Truncate | StrangerEdit | StrangerChange | StrangerAct | ExpireTokens,
    Field(discriminator="kind"),
]


class Fault(_Strict):
    """An action and the calls it hits."""

    id: int = 0
    call: Call | Literal["any"] = "any"
    slot: Literal["Draft", "Preview", "Production"] | None = None
    offer: str | None = None
    times: int = Field(default=1, ge=-1, description="-1: for ever")
    after: int = Field(default=0, ge=0, description="let this many matching calls pass first")
    action: Action

    def matches(self, call: str, offer_id: str | None, slot: str | None) -> bool:
        """Whether it is meant for this call."""
        return (
            self.call in ("any", call)
            and (self.offer is None or self.offer == offer_id)
            and (self.slot is None or self.slot.casefold() == (slot or "").casefold())
        )


class StepFault(_Strict):
    """How a step ends other than well."""

    outcome: Literal["fail", "block", "reject", "never"] | None = None
    messages: list[str] = Field(default_factory=list, description="HTML, as the certification team writes it")
    duration_seconds: float | None = Field(default=None, ge=0)
    operation_stays_running: bool = False


def take_due(faults: list[Fault], call: str, offer_id: str | None, slot: str | None) -> list[Action]:
    """Take the actions for one call, at most one of which gives the answer; spent faults leave the list."""
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
