"""The workflow `CreateOfferAndPublish`."""

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.offers import OfferActivities, PutOfferAnswer, PutOfferRequest
    from activities.operations import PUBLISH_IN_PROGRESS
    from marketplace.json_text import parse
    from workflows.inputs import NOTHING, read
    from workflows.logbook import Logbook, application_error
    from workflows.messages import (
        CreateOfferAndPublishInput,
        IfExists,
        IfPublishing,
        Outcome,
        Progress,
        PublicationResult,
        PublishStage,
    )
    from workflows.options import EDIT, within
    from workflows.stages import Stages


@workflow.defn
class CreateOfferAndPublish:
    """Create an offer, or replace its draft, and publish it, until the preview waits for sign-off."""

    def __init__(self) -> None:
        self._logbook = Logbook()

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `CreateOfferAndPublishInput`."""
        async with self._logbook.closing():
            wanted = read(CreateOfferAndPublishInput, request)
            self._logbook.open(wanted.offer.key, [])
            stages = Stages(self._logbook, wanted.offer.key, wanted, wanted.notification_emails)
            async with stages.taking_back():
                await self._make_sure_there_is_room(stages, wanted)
                put = await self._put(stages, wanted, _document(request))
                operation_id = await self._publish(stages, put.operations)
            self._logbook.stage(PublishStage.PREVIEW)
            return PublicationResult(
                publisher_id=wanted.offer.publisher_id,
                offer_id=wanted.offer.offer_id,
                outcome=Outcome.PREVIEW,
                operation_id=operation_id,
                images=put.images,
                changed=True,
            )

    async def _make_sure_there_is_room(self, stages: Stages, wanted: CreateOfferAndPublishInput) -> None:
        """Refuse an offer that exists, or wait for what runs on the one to be replaced."""
        survey = await stages.survey(must_exist=False)
        if survey.exists and wanted.if_exists is IfExists.FAIL:
            raise _offer_exists(wanted)
        if survey.running is not None:
            await stages.make_way(survey.running, IfPublishing.WAIT)

    async def _put(self, stages: Stages, wanted: CreateOfferAndPublishInput, document: str) -> PutOfferAnswer:
        self._logbook.waits_for("the marketplace to take the offer, which may take minutes")
        put = await workflow.execute_activity_method(
            OfferActivities.put_offer,
            PutOfferRequest(offer=wanted.offer.key, document=document, replace=wanted.if_exists is IfExists.REPLACE),
            **within(stages.time_left(), EDIT, f"Put {wanted.offer.key}"),
        )
        if put.existed:
            raise _offer_exists(wanted)
        for warning in put.warnings:
            self._logbook.note(warning)
        self._logbook.images(put.images)
        return put

    async def _publish(self, stages: Stages, known_operations: list[str]) -> str:
        while True:
            try:
                return (await stages.publish(known_operations)).operation_id
            except ActivityError as error:
                if application_error(error).type != PUBLISH_IN_PROGRESS:
                    raise
                self._logbook.note(application_error(error).message)
            self._logbook.stage(PublishStage.PREPARING)
            survey = await stages.survey()
            known_operations = survey.known_operations
            if survey.running is not None:
                await stages.make_way(survey.running, IfPublishing.WAIT)
            else:
                await stages.wait_for_others()

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    async def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Pass the request on to the run that looks."""
        await self._logbook.pass_on_check_now()

    @workflow.signal(description="Sent by the run that follows the operation.")
    def operation_moved(self, moved: RawValue = NOTHING) -> None:
        """Take over how the operation stands."""
        self._logbook.operation_moved(moved)

    @workflow.query(description="Stage, operation, steps, images, and what the run waits for.")
    def progress(self) -> Progress:
        """Tell how the run stands."""
        return self._logbook.progress


def _document(request: RawValue) -> str:
    """Return the offer exactly as the user wrote it: decoding would respell its numbers."""
    offer = parse(request.payload.data.decode()).get("offer")
    return offer.text if offer is not None else "{}"


def _offer_exists(wanted: CreateOfferAndPublishInput) -> ApplicationError:
    return ApplicationError(
        f"{wanted.offer.key}: the offer exists already. Publish new images of it with UpdateOfferAndPublish, or"
        ' replace its draft with "if_exists": "replace".',
        type="OfferExists",
        non_retryable=True,
    )
