"""The workflow `CreateOfferAndPublish`."""

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from marketplace.json_text import parse
    from workflows.closing import closing
    from workflows.errors import final
    from workflows.inputs import NOTHING, read
    from workflows.logbook import Logbook
    from workflows.messages import (
        CreateOfferAndPublishInput,
        IfExists,
        Outcome,
        Progress,
        PublicationResult,
        PublishStage,
    )
    from workflows.stages import Stages, begin
    from workflows.waiting import Waiting


@workflow.defn
class CreateOfferAndPublish:
    """Create an offer, or replace its draft, and publish it, until the preview waits for sign-off."""

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._waiting = Waiting(self._logbook)

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `CreateOfferAndPublishInput`."""
        async with closing(self._logbook):
            wanted = read(CreateOfferAndPublishInput, request)
            offer, emails = wanted.offer.key, wanted.notification_emails
            stages = begin(self._logbook, self._waiting, request, offer, wanted, notification_emails=emails)
            async with stages.taking_back():
                while stages.publication.published is None:
                    await self._do_the_next_thing(stages, wanted, request)
                    await stages.follow()
            return stages.result(
                Outcome.PREVIEW, stages.publication.published.operation_id, stages.publication.images
            )

    async def _do_the_next_thing(self, stages: Stages, wanted: CreateOfferAndPublishInput, request: RawValue) -> None:
        """Put the offer and publish it, or wait for what runs on an offer that exists."""
        if stages.publication.following is not None:
            return
        stages.count_round()
        is_put = stages.publication.known_operations is not None
        if is_put or wanted.if_exists is IfExists.REPLACE:
            survey = await stages.survey(must_exist=False)
            if survey.running is not None:
                await stages.make_way_unless_it_carries(survey.running)
                return
        if not is_put:
            await self._put(stages, wanted, request)
        else:
            await stages.publish()

    async def _put(self, stages: Stages, wanted: CreateOfferAndPublishInput, request: RawValue) -> None:
        written = await stages.put(_document(request), replace=wanted.if_exists is IfExists.REPLACE)
        if written.existed:
            raise _offer_exists(wanted)
        if written.survey.in_draft:
            self._logbook.stage(PublishStage.PREPARING, images=written.images)
            await stages.publish()

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait for the next look short."""
        self._waiting.check_now()

    @workflow.query(description="Stage, operation, steps, images, and what the run waits for.")
    def progress(self) -> Progress:
        """Return how the run stands."""
        return self._logbook.progress()


def _document(request: RawValue) -> str:
    """Return the offer exactly as the user wrote it: decoding would respell its numbers."""
    offer = parse(request.payload.data.decode()).get("offer")
    return offer.text if offer is not None else "{}"


def _offer_exists(wanted: CreateOfferAndPublishInput) -> ApplicationError:
    return final(
        "OfferExists",
        f"{wanted.offer.key}: the offer exists already. Publish new images of it with UpdateOfferAndPublish, or"
        ' replace its draft with "if_exists": "replace".',
    )
