"""Shows how a run stands: its progress, its page in the UI, its search attributes.

All three are rendered from the run's control state. Search attributes change with the stage, the page with every
change.
"""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributePair

with workflow.unsafe.imports_passed_through():
    from marketplace.model import ImageVersion, OperationReport, shown_id
    from marketplace.wording import one_line
    from workflows import measuring, search_attributes
    from workflows.messages import ApprovalProgress, FollowedOperation, Progress, PublishStage
    from workflows.page import page
    from workflows.publication import Publication, SignOff

MAX_NOTES = 50
MAX_NOTE = 500


class Logbook:
    """The one place that shows a run's control state to people."""

    def __init__(self) -> None:
        now = workflow.now()
        self.publication = Publication(since=now, wait_until=now)

    def open(self, publication: Publication) -> None:
        """Show the run for the first time, or for the first time since it continued as new."""
        early = self.publication.notes
        self.publication = publication
        for note in early:
            self.note(note)
        if publication.offer is not None:
            # A run that continued as new has kept its search attributes.
            known = workflow.info().typed_search_attributes
            pairs = search_attributes.of(publication.offer, publication.stage, publication.images)
            _upsert([pair for pair in pairs if known.get(pair.key) != pair.value])
        if workflow.info().continued_run_id is None:
            self._log_stage()
        self.show()

    def stage(
        self, stage: PublishStage, waiting_for: str | None = None, images: Sequence[ImageVersion] | None = None
    ) -> None:
        """Enter a stage. Name the images once they are known."""
        publication = self.publication
        changed: list[SearchAttributePair[Any]] = []
        if stage is not publication.stage:
            measuring.left(publication.stage, workflow.now() - publication.since)
            publication.stage, publication.since = stage, workflow.now()
            self._log_stage()
            changed.append(SearchAttributePair(search_attributes.PUBLISH_STAGE, str(stage)))
        if images is not None:
            publication.images = list(images)
            versions = search_attributes.versions_of(images)
            changed.append(SearchAttributePair(search_attributes.IMAGE_VERSIONS, versions))
        _upsert(changed)
        self.waits_for(waiting_for)

    def waits_for(self, what: str | None) -> None:
        """Show what the run is waiting for."""
        self.publication.waiting_for = what
        self.show()

    def looked(self, report: OperationReport, whose: str = "") -> None:
        """Show how an operation stands, and note each unknown status word once.

        Args:
            report: The latest look at the operation.
            whose: Introduces an operation that is only in the way.
        """
        for word in report.unknown_words:
            self.note(f"the marketplace uses a status word that is not known here: {word!r}")
        following = self.publication.following
        if following is not None and report.operation_id in _own(self.publication):
            measuring.looked(following, report)
        self.publication.report = report
        self.publication.ours = report.operation_id in _own(self.publication)
        step = report.step
        operation = f"{report.kind.replace('_', '-')} {report.operation_id}"
        self.waits_for(whose + (f"{step.name} ({step.state.replace('_', ' ')})" if step else operation))

    def note(self, note: str) -> None:
        """Add a note for people, unless it is there already."""
        note = one_line(note, MAX_NOTE)
        if note not in self.publication.notes:
            self.publication.notes = [*self.publication.notes, note][-MAX_NOTES:]
            self.show()

    def log(self, what: str) -> None:
        """Write a line to the worker's log. The SDK adds the run's IDs."""
        offer = str(self.publication.offer or "unknown offer")
        workflow.logger.info("%s: %s", offer, what, extra={"offer": offer})

    def _log_stage(self) -> None:
        publication = self.publication
        why = f", {publication.error}" if publication.error else ""
        self.log(f"{publication.stage.replace('_', ' ')}{why}")

    def show(self) -> None:
        """Render the run's page."""
        info = workflow.info()
        workflow.set_current_details(page(self.progress(), info.workflow_id, info.namespace))

    def progress(self) -> Progress:
        """Render the answer of the query ``progress``."""
        publication, report, following = self.publication, self.publication.report, self.publication.following
        operation = None
        if report is not None:
            operation = FollowedOperation(
                id=shown_id(report.operation_id),
                kind=report.kind,
                state=report.state,
                ours=publication.ours,
            )
        return Progress(
            publisher_id=publication.offer.publisher_id if publication.offer else None,
            offer_id=publication.offer.offer_id if publication.offer else None,
            stage=publication.stage,
            since=publication.since,
            waiting_for=publication.waiting_for,
            operation=operation,
            steps=report.steps if report is not None else [],
            images=publication.images,
            looks=following.looks if following is not None else 0,
            next_look=publication.next_look,
            approval=_approval(publication.sign_off),
            error=publication.error,
            notes=publication.notes,
        )


def _upsert(pairs: Sequence[SearchAttributePair[Any]]) -> None:
    if pairs:
        workflow.upsert_search_attributes([pair.key.value_set(pair.value) for pair in pairs])


def _own(publication: Publication) -> set[str | None]:
    """Return the IDs of the operations that this run's requests started."""
    following = publication.following
    own = {publication.own_publish}
    if publication.published is not None and publication.published.ours:
        own.add(publication.published.operation_id)
    if following is not None and following.ours:
        own.add(following.operation_id)
    if publication.go_live_requested:
        own.add(publication.gone_live)
    return own


def _approval(sign_off: SignOff | None) -> ApprovalProgress | None:
    if sign_off is None:
        return None
    return ApprovalProgress.model_validate({**sign_off.model_dump(), **sign_off.promotion.model_dump()})
