"""The workflow `UpdateOfferAndPublish`."""

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from workflows.closing import closing
    from workflows.inputs import NOTHING, validated
    from workflows.logbook import Logbook
    from workflows.messages import Progress, PublicationResult, UpdateOfferAndPublishInput
    from workflows.stages import begin
    from workflows.taking_back import taking_back
    from workflows.waiting import Waiting


@workflow.defn
class UpdateOfferAndPublish:
    """Put image versions into an offer's draft, and publish it until the preview holds them.

    Others may write to the same offer at any time. Therefore the run surveys the offer, does the next thing that is
    missing, and surveys again. It does nothing that is done already, whoever did it.
    """

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._waiting = Waiting(self._logbook)

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take an `UpdateOfferAndPublishInput`."""
        async with closing(self._logbook):
            wanted = validated(UpdateOfferAndPublishInput, request)
            stages = begin(self._logbook, self._waiting, request, wanted.key, wanted, wanted)
            async with taking_back(stages):
                while True:
                    await stages.follow()
                    stages.count_round()
                    survey = await stages.edit(wanted)
                    if stages.preview_holds_the_images(survey):
                        return await stages.previewed(survey)
                    await stages.bring_to_preview(survey, wanted.if_publishing)

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait for the next look short."""
        self._waiting.check_now()

    @workflow.query(description="Stage, operation, steps, images, and what the run is waiting for.")
    def progress(self) -> Progress:
        """Return how the run stands."""
        return self._logbook.progress()
