"""The offer of an example: its state in the sandbox, and what strangers and time do to it."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from sandbox import DEFAULT_TOKEN
from sandbox.faults import Fault, StepFault, StrangerAct, StrangerChange, StrangerEdit
from sandbox.marketplace import LogEntry
from sandbox.state import Offer, Publisher
from sandbox.steps import progress_of as progress_of_operation
from sandbox.strangers import act_as_stranger
from sandbox.switches import Switches
from tests.campaigns.apis import CLOUD_PARTNER, Call, CampaignApi
from tests.campaigns.model.choices import RULES_OF_API
from tests.campaigns.model.entities import Request
from tests.campaigns.model.inputs import published_by_hand
from tests.campaigns.model.observations import observe
from tests.campaigns.model.rig import STEP_SECONDS, Rig
from tests.campaigns.model.world import World

Act: TypeAlias = Literal["edit", "publish", "go_live", "cancel", "change"]


class PlayedOffer:
    """The only offer of a publisher.

    Every request and every change makes an observation, which the model judges at once.

    Attributes:
        world: The model.
        findings: The findings of the model and of checks.
        since: The first observation of the current step.
    """

    def __init__(self, rig: Rig, api: CampaignApi, publisher_id: str) -> None:
        self.rig = rig
        self.api = api
        self.publisher_id = publisher_id
        self.offer_id = api.offer_id(publisher_id)
        self.world = World(RULES_OF_API[api])
        self.findings: list[str] = []
        self.since = 0
        self._askers: dict[str, str] = {}
        self._by_hand = False
        rig.marketplace.on_request = self._take_in
        if not api.names_publishers:
            rig.marketplace.owners[self.offer_id] = publisher_id

    @property
    def publisher(self) -> Publisher:
        """The publisher at the sandbox."""
        return self.rig.marketplace.publisher(self.publisher_id)

    @property
    def offer(self) -> Offer | None:
        """The offer at the sandbox."""
        return self.publisher.offers.get(self.offer_id)

    def switch(self, switches: dict[str, Any]) -> None:
        """Set switches of the sandbox."""
        self.publisher.switches = Switches.model_validate(self.publisher.switches.model_dump() | switches)

    async def set_up(self, stage: str) -> None:
        """Bring the offer to a stage by hand, without the workflows."""
        self._by_hand = True
        if stage != "no offer":
            await self._put_by_hand(published_by_hand(self.publisher_id, self.api))
        if stage in {"preview", "live"}:
            self.act_as_stranger("publish")
            self.let_time_pass(5)
        if stage == "live":
            self.act_as_stranger("go_live")
            self.let_time_pass(2)
        self._by_hand = False

    def act_as_stranger(self, kind: Act, plan: str | None = None) -> str | None:
        """Let somebody else act. Return why the sandbox refused, if it did."""
        act: StrangerEdit | StrangerChange | StrangerAct
        if kind == "edit":
            act = StrangerEdit(kind="stranger_edit", plan_id=plan)
        elif kind == "change":
            act = StrangerChange(kind="stranger_change")
        else:
            act = StrangerAct(kind=f"stranger_{kind}")
        refused = act_as_stranger(self.rig.marketplace, self.publisher, self.offer_id, act, self.rig.clock.read())
        self._observe()
        return refused

    def let_time_pass(self, steps: int) -> None:
        """Put the sandbox's clock forward by a number of steps of an operation."""
        self.rig.clock.advance(STEP_SECONDS * steps + 1)
        self.rig.marketplace.settle(self.publisher, self.rig.clock.read())
        self._observe()

    def fail_step(self, operation_id: str) -> None:
        """Let the current step of a running operation fail."""
        known = self.offer.operation(operation_id) if self.offer else None
        assert known is not None
        now = self.rig.clock.read()
        step = next(each.plan.id for each in progress_of_operation(known, now).steps if each.status == "inProgress")
        fault = StepFault(outcome="fail", duration_seconds=0)
        self.rig.marketplace.set_step_fault(self.publisher, step, fault, now)
        self.let_time_pass(0)
        self.rig.marketplace.set_step_fault(self.publisher, step, None, self.rig.clock.read())

    def add_fault(self, call: Call, action: Mapping[str, Any], *, after: int = 0, times: int = 1) -> Fault:
        """Add a fault to the sandbox, and return it."""
        fault = Fault.model_validate({"call": self.api.calls[call], "action": action, "after": after, "times": times})
        return self.rig.marketplace.add_fault(self.publisher, fault)

    def operation_id(self, named: str) -> str:
        """Return the ID of an operation. A run that does not know it yet names the job that begins the operation."""
        job = self.publisher.jobs.get(named.removeprefix("job:"))
        return job.operation or named if job is not None else named

    def readable(self, text: str | None) -> str:
        """Replace the IDs of operations by their names."""
        readable = str(text)
        for job in self.publisher.jobs.values():
            readable = readable.replace(f"job:{job.id}", str(job.operation))
        # One ID may be the beginning of another.
        for operation in sorted(self.world.now.operations, key=lambda each: -len(each.id)):
            readable = readable.replace(f"publish {operation.id}", operation.name)
            readable = readable.replace(operation.id, operation.name)
        return readable

    def forget(self) -> None:
        """Remove everything about the offer from the sandbox."""
        self.rig.marketplace.on_request = None
        self.rig.marketplace.state.publishers.pop(self.publisher_id, None)
        self.rig.marketplace.requests.clear()

    def _take_in(self, entry: LogEntry) -> None:
        """Take in a request that the sandbox has just answered."""
        if entry["publisher"] != self.publisher_id:
            return
        faults = entry["faults"] if isinstance(entry["faults"], list) else []
        calls = {name: call for call, name in self.api.calls.items()}
        request = Request(
            call=calls.get(str(entry["call"]), str(entry["call"])),
            status=entry["status"] if isinstance(entry["status"], int) else None,
            effect=bool(entry["effect"]),
            operation_id=str(entry["operation_id"]),
            stranger=any(str(fault).startswith("stranger") for fault in faults),
            sender=str(entry["client_request_id"]).rpartition("/")[2],
        )
        if request.effect and request.call == "publish" and not self.api.names_publishers:
            self._askers[str(request.operation_id)] = request.sender
        if request.effect and request.call == "publish" and faults:
            self.world.unanswered.add(str(request.operation_id))
        self._observe(None if self._by_hand else request)

    def _observe(self, request: Request | None = None) -> None:
        self.findings += self.world.see(observe(self.offer, self.api, self._askers), request)

    async def _put_by_hand(self, document: dict[str, Any]) -> None:
        if self.api is CLOUD_PARTNER:
            path = f"/api/publishers/{self.publisher_id}/offers/{self.offer_id}?api-version=2017-10-31"
            await self._call("PUT", path, document)
            return
        job = await self._call("POST", f"{self.api.path}/configure", document)
        status = f"{self.api.path}/configure/{job.get('jobId') or job['jobID']}/status"
        while (await self._call("GET", status))["jobStatus"] != "completed":
            pass

    async def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = await self.rig.http.request(
            method, f"{self.rig.url}{path}", headers={"Authorization": f"Bearer {DEFAULT_TOKEN}"}, json=body
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
