"""The workflow `CreateOfferAndPublish`."""

from functools import partial
from typing import Literal

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from marketplace.json_text import parse
    from marketplace.model import OfferDefinition
    from workflows.closing import closing
    from workflows.inputs import NOTHING, validated
    from workflows.logbook import Logbook
    from workflows.messages import (
        CreateOfferAndPublishInput,
        IfExists,
        IfPublishing,
        Outcome,
        Progress,
        PublicationResult,
    )
    from workflows.stages import begin
    from workflows.taking_back import taking_back
    from workflows.waiting import Waiting


@workflow.defn
class CreateOfferAndPublish:
    """Create an offer, or replace its draft, and publish it until the preview waits for sign-off."""

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._waiting = Waiting(self._logbook)

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `CreateOfferAndPublishInput`."""
        async with closing(self._logbook):
            wanted = validated(CreateOfferAndPublishInput, request)
            offer, emails = wanted.key, wanted.notification_emails
            stages = begin(self._logbook, self._waiting, request, offer, wanted, notification_emails=emails)
            definition = partial(_definition, wanted.member, request)
            async with taking_back(stages):
                await stages.follow()
                while stages.publication.published is None:
                    stages.count_round()
                    survey = await stages.put(definition, replace=wanted.if_exists is IfExists.REPLACE)
                    await stages.bring_to_preview(survey, IfPublishing.WAIT)
                    await stages.follow()
            published = stages.publication.published
            return stages.finish(Outcome.PREVIEW, published.operation_id, stages.publication.images)

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait for the next look short."""
        self._waiting.check_now()

    @workflow.query(description="Stage, operation, steps, images, and what the run is waiting for.")
    def progress(self) -> Progress:
        """Return how the run stands."""
        return self._logbook.progress()


def _definition(member: Literal["offer", "configure"], request: RawValue) -> OfferDefinition:
    """Return the offer exactly as the user wrote it: decoding would respell its numbers."""
    offer = parse(request.payload.data.decode()).get(member)
    return OfferDefinition(member=member, text=offer.text if offer is not None else "{}")
