"""The marketplace behind the Product Ingestion API.

Every write is a job of the service. The job of an edit is followed to its end, and the draft is read back. Only the
content of the draft counts, since failed jobs have been seen to change it. The job of a publish is not followed here,
because it runs for days.
"""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import ParamSpec, TypeVar

from marketplace import sas
from marketplace.disks import signed
from marketplace.draft_writes import ROUNDS, merged, newest_ids, unguarded
from marketplace.errors import (
    Conflict,
    NotFound,
    Refused,
    RuleBroken,
    Unreadable,
)
from marketplace.json_text import array_text, object_text, value_text
from marketplace.model import (
    JOB_PREFIX,
    Change,
    EditOutcome,
    ForeignEdits,
    Image,
    ImageVersion,
    OfferDefinition,
    OfferKey,
    OfferStatus,
    Operation,
    OperationKind,
    OperationReport,
    Promotion,
    Scope,
    Slot,
)
from marketplace.product_ingestion import contents, definitions, edits, foreign_changes, submissions
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.contents import OfferContents
from marketplace.product_ingestion.definitions import CONFIGURE_SCHEMA
from marketplace.product_ingestion.image_rules import members_refused
from marketplace.product_ingestion.jobs import Job, JobProgress
from marketplace.product_ingestion.looks import OperationLooks
from marketplace.product_ingestion.plan_configurations import Trees, VersionsHidden, trees
from marketplace.product_ingestion.reader import Reader
from marketplace.product_ingestion.references import PRODUCT, SUBMISSION, number_of, schema
from marketplace.product_ingestion.resources import Tree
from marketplace.product_ingestion.write_jobs import WriteJobs, sleep, warnings_of, write_error
from marketplace.protocol import Attempt, Contents, PutOutcome
from marketplace.timestamps import utc_now
from marketplace.wording import bounded, listed, one_line

SUBMISSION_SCHEMA = schema(SUBMISSION, "2022-03-01-preview2")
"""Pinned, since newer versions require the sources of a submission."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class ProductIngestionMarketplace:
    """Implements `marketplace.protocol.Marketplace`.

    One object serves any number of offers concurrently. Documents are processed in threads, because they may take
    seconds and other activities must not miss a heartbeat.
    """

    def __init__(
        self,
        calls: ProductIngestion,
        *,
        signer: sas.Signer | None = None,
        tenant_id: str | None = None,
        clock: Callable[[], datetime] = utc_now,
        pause: Callable[[timedelta], Awaitable[None]] = sleep,
    ) -> None:
        """Create the marketplace.

        Args:
            calls: Makes the calls of the API.
            signer: Signs disks without a SAS, where the worker has the storage account's key.
            tenant_id: The tenant of galleries, for images that name none.
            clock: The present time.
            pause: Waits between two looks at an edit's job.
        """
        self._calls = calls
        self._signer = signer or sas.Signer({})
        self._tenant_id = tenant_id
        self._clock = clock
        self._writes = WriteJobs(calls, pause)
        self._reader = Reader(calls, clock)
        self._looks = OperationLooks(calls, self._reader, clock)

    @property
    def lists_at_once(self) -> bool:
        """Whether an operation is listed as soon as its request was accepted."""
        return False

    @property
    def guards_writes(self) -> bool:
        """Whether a write can be conditional. The API has no ETags."""
        return False

    @property
    def joins_publishes(self) -> bool:
        """Whether a publish joins a running publish of the same draft. The API refuses it instead."""
        return False

    def check(self, change: Change) -> None:
        """Refuse values that no offer of this API can hold.

        Raises:
            RuleBroken: There are such values. The error names each member.
        """
        RuleBroken.raise_for(members_refused(change.images))

    async def read_slot(self, offer: OfferKey, slot: Slot) -> OfferContents | None:
        """Return what a slot holds, ``None`` if it is empty.

        Raises:
            NotFound: There is no such offer.
            Unreadable: The service does not show the slot, and it is not confirmed that the slot is empty.
        """
        tree = await self._reader.tree(offer, slot)
        return await _in_thread(offer, OfferContents(tree).prepare) if tree is not None else None

    def promotion(self, preview: Contents | None, production: Contents | None) -> Promotion:
        """Return what going live would change, with a digest of the preview."""
        return contents.promotion(_contents(preview), _contents(production))

    async def operations(self, offer: OfferKey) -> list[Operation]:
        """Return the offer's operations, running ones first, then newest first. Empty if it was never published.

        Raises:
            NotFound: There is no such offer.
        """
        return submissions.operations(await self._reader.submissions(offer))

    async def status(self, offer: OfferKey) -> OfferStatus:
        """Return the newest operations, and whether the preview waits for sign-off.

        Raises:
            NotFound: There is no such offer.
        """
        return submissions.offer_status(await self._reader.submissions(offer))

    async def may_await_sign_off(self, offer: OfferKey) -> bool:
        """Return whether the preview is ready and not promoted. The list always says it."""
        return submissions.awaits_sign_off(await self._reader.submissions(offer))

    async def look(
        self,
        offer: OfferKey,
        operation_id: str,
        kind: OperationKind | None = None,
        *,
        known: Sequence[str] = (),
    ) -> OperationReport:
        """Look at one operation: a submission by its number, or the job that creates it.

        The report on a job that has ended names its submission. If the service does not know the job, the report is
        on a submission that is none of the known ones.
        """
        return await self._looks.look(offer, operation_id, kind, known)

    async def planned_edit(
        self, offer: OfferKey, change: Change, *, preview: Contents | None, production: Contents | None
    ) -> EditOutcome:
        """Check all rules and return what `edit_images` would change.

        Raises:
            NotFound: There is no such offer.
            RuleBroken: A rule of the marketplace is broken, or a publish would include changes by others.
            Refused: A list of image versions is empty although the plan was published.
        """
        slots = trees(await self._reader.tree(offer, Slot.DRAFT), _tree(preview), _tree(production))
        _, edit = await self._edited(offer, slots, change)
        return edit

    async def edit_images(
        self,
        offer: OfferKey,
        change: Change,
        *,
        preview: Contents | None,
        production: Contents | None,
        sole_writer: bool,
        attempt: Attempt,
    ) -> EditOutcome:
        """Put the images into the draft in one write, and follow its job to the end.

        Writes are not conditional in this API, so the caller must be the sole writer among our runs. Strangers may
        write too. Therefore the draft is read again just before the write. If an image is missing afterwards, the
        images are applied again. The submissions are read last. A publish that somebody started while the job ran
        carries the old draft.

        Safe to repeat: the job of an earlier attempt is followed to its end first, and an image that is there already
        is left alone.

        Raises:
            NotFound: There is no such offer.
            Conflict: Another operation runs, or others wrote to the draft between read and write, `ROUNDS` times.
            Invalid: The service refuses the configuration.
            PlanFull: A plan holds as many versions as it may, according to our rules or the service.
            Unguarded: The caller is not the sole writer. Nothing was sent.
            RuleBroken: Another rule is broken, or a publish would include changes by others. Nothing was sent.
            Refused: A list of image versions is empty although the plan was published.
        """
        done = EditOutcome()
        is_done = partial(self._holds, offer, change, _tree(preview), _tree(production))
        if attempt.may_have_sent:
            # If there is nothing left to do, the earlier attempt has done it.
            done = EditOutcome(added=_unpublished(change.images, preview, production))
            await self._writes.finish_earlier(offer, "edit", attempt, is_done)
        job: Job | None = None
        for number in range(ROUNDS + 1):
            draft = await self._reader.tree(offer, Slot.DRAFT)
            texts, edit = await self._edited(offer, trees(draft, _tree(preview), _tree(production)), change)
            if not edit.changed:
                return merged(done, edit, newest_ids(await self.operations(offer)), warnings_of(job))
            if job is not None and job.progress is not JobProgress.SUCCEEDED:
                raise write_error(offer, "edit", job)
            if not sole_writer:
                raise unguarded(offer)
            if number == ROUNDS:
                break
            if not await _same(offer, draft, await self._reader.tree(offer, Slot.DRAFT)):
                job = None
                continue
            job = await self._writes.write(offer, _document(texts), "edit", attempt, is_done)
            done = merged(done, edit)
            if job is None and not await self._writes.shows(is_done, attempt.settle):
                # The write may still take effect. Nothing else is sent in this attempt.
                raise write_error(offer, "edit", job)
        raise Conflict(
            f"edit {offer}: the draft was changed by somebody else {ROUNDS} times while the images were put into it;"
            " run again when nobody works on the offer in Partner Center",
            call=f"edit {offer}",
        )

    async def put_offer(
        self, offer: OfferKey, definition: OfferDefinition, *, replace: bool, sole_writer: bool, attempt: Attempt
    ) -> PutOutcome | None:
        """Create the offer, or apply the definition's resources to it. Other resources stay as they are.

        Disks without a SAS are signed if the worker has the account's key. A disk whose SAS does not work is refused,
        unless a slot holds the image with the same source. A definition without a published version is refused.

        Safe to repeat: the job of an earlier attempt is followed to its end first. In a repeated attempt, an offer
        whose draft has the content of the definition counts as created by us.

        Raises:
            Conflict: Another operation runs on the offer.
            Invalid: The service refuses some of the resources. It may have applied others.
            Unguarded: The caller is not the sole writer. Nothing was sent.
            RuleBroken: The definition cannot be sent. Nothing was sent.
        """
        if definition.member != "configure":
            raise RuleBroken(
                f"{definition.member}: is of the Cloud Partner Portal API only, and this worker speaks to the Product"
                " Ingestion API. Give publisher_id and configure in its place."
            )
        wanted = await _in_thread(offer, definitions.read, definition.text, offer.offer_id)
        is_done = partial(self._has_content, offer, wanted)
        earlier = await self._writes.finish_earlier(offer, "put", attempt, is_done)
        slots = await self._reader.trees(offer)
        if slots is not None:
            ours = earlier is not None and earlier.progress is JobProgress.SUCCEEDED
            if attempt.repeated and not ours:
                ours = await _draft_has_content(offer, wanted, slots.get(Slot.DRAFT))
            if ours:
                return await self._put_outcome(offer, wanted, [])
            if not replace:
                return None
        text, warnings = await _in_thread(offer, self._ready, definition.text, wanted, slots or {})
        if not sole_writer:
            raise unguarded(offer)
        job = await self._writes.write(offer, text, "put", attempt, is_done)
        if job is None or job.progress is not JobProgress.SUCCEEDED:
            if not await (self._writes.shows(is_done, attempt.settle) if job is None else is_done()):
                raise write_error(offer, "put", job)
            warnings += warnings_of(job)
        return await self._put_outcome(offer, wanted, warnings, is_new=slots is None)

    async def publish(
        self,
        offer: OfferKey,
        change: Change,
        notification_emails: Sequence[str],  # noqa: ARG002 - set in Partner Center
        *,
        attempt: Attempt,
    ) -> str | None:
        """Publish the whole draft, or the plans of the change's images, to the preview. Return the job.

        Not safe to repeat without a look first, since the service does not recognise repeated requests.

        Raises:
            Conflict: Another operation runs on the offer. Or, without a status: the draft lacks live versions in the
                plans of the images, and an edit has to restore them. Then nothing was sent.
            Invalid: The draft failed the service's validation.
            ForeignChanges: The publish would include changes by others. Nothing was sent.
        """
        product = await self._reader.product(offer)
        compared = change.scope is Scope.MODULAR or change.foreign_edits is not ForeignEdits.INCLUDE
        slots: Trees = {}
        if compared or change.images:
            preview = await self._reader.tree(offer, Slot.PREVIEW) if compared else None
            production = await self._reader.tree(offer, Slot.PRODUCTION)
            # The draft is read last. A modular publish reverts whatever somebody writes to its plans after this read.
            slots = trees(await self._reader.tree(offer, Slot.DRAFT), preview, production)
        texts, gone = await _in_thread(offer, _to_publish, slots, change, product)
        if gone:
            named = listed([str(one) for one in gone])
            raise Conflict(
                f"publish {offer}: the draft lacks {named}, which is live, and would take it from customers; it has"
                " to be put back first",
                call=f"publish {offer}",
            )
        document = _document([*texts, _submission(product, submissions.PREVIEW)])
        return await self._start(offer, document, "publish", OperationKind.PUBLISH, attempt)

    async def go_live(self, offer: OfferKey, publish_id: str, *, attempt: Attempt) -> str | None:
        """Promote the preview of one submission. Return the job.

        Raises:
            Conflict: Another operation runs on the offer, or it was published again since.
            Refused: ``publish_id`` is not the number of a submission.
        """
        product = await self._reader.product(offer)
        submission_id = f"{SUBMISSION}/{product}/{publish_id}"
        if number_of(submission_id) != publish_id:
            raise Refused(
                f"go live with {offer}: {one_line(publish_id, 100)} is not the number of a submission, and only one"
                " can be promoted; look at the offer again",
                call=f"go live with {offer}",
            )
        document = _document([_submission(product, submissions.LIVE, submission_id)])
        return await self._start(offer, document, "go live with", OperationKind.GO_LIVE, attempt, publish_id)

    async def cancel(
        self,
        offer: OfferKey,
        operation_id: str,
        notification_emails: Sequence[str],  # noqa: ARG002 - set in Partner Center
    ) -> None:
        """Ask for cancellation of a job. `look` shows when it is cancelled.

        Raises:
            Refused: The job has ended, is too far along, or is not known to the service. Or it is not a job.
        """
        if not operation_id.startswith(JOB_PREFIX):
            raise Refused(
                f"cancel {offer}: submission {one_line(operation_id, 100)} cannot be cancelled through the Product"
                " Ingestion API, because its job has ended or was started by somebody else; cancel it in Partner"
                " Center",
                call=f"cancel {offer}",
            )
        try:
            await self._calls.cancel(offer, operation_id.removeprefix(JOB_PREFIX))
        except NotFound as error:
            raise Refused(
                f"cancel {offer}: the marketplace does not know {one_line(operation_id, 100)} any more; look at the"
                " offer in Partner Center",
                call=f"cancel {offer}",
            ) from error

    async def _edited(self, offer: OfferKey, slots: Trees, change: Change) -> tuple[list[str], EditOutcome]:
        product = await self._reader.product(offer)
        return await _in_thread(offer, self._edit, slots, change, product)

    def _edit(self, slots: Trees, change: Change, product: str) -> tuple[list[str], EditOutcome]:
        now = self._clock()
        images = [signed(image, lambda url: self._signer.signed(url, now)) for image in change.images]
        wanted = change.model_copy(update={"images": images})
        edited = edits.edit(slots, wanted, product=product, tenant_id=self._tenant_id, now=now)
        _refuse_foreign_changes(slots, change)
        return edited

    def _ready(self, text: str, wanted: Tree, slots: Trees) -> tuple[str, list[str]]:
        """Return a definition with its schema and signed disks, and warnings for a person."""
        now = self._clock()
        left_out = definitions.refuse_left_out(wanted, slots)
        text = definitions.with_signed_disks(text, wanted, slots, lambda url: self._signer.signed(url, now))
        warnings = definitions.check_disks(definitions.resources_of(text), slots, now)
        return definitions.completed(text), [*left_out, *warnings]

    async def _put_outcome(
        self, offer: OfferKey, wanted: Tree, warnings: Sequence[str], *, is_new: bool = False
    ) -> PutOutcome:
        """Return the outcome of a put.

        The submissions are read after the put, which takes minutes. A publish that somebody started meanwhile carries
        the old draft.
        """
        draft = await self._draft_if_any(offer)
        held = await _in_thread(offer, OfferContents(draft if draft is not None else wanted).prepare)
        known = [] if is_new else newest_ids(await self.operations(offer))
        images = [one.model_copy(update={"generation": None}) for one in held.versions]
        return PutOutcome(known, list(dict.fromkeys(images)), bounded(warnings))

    async def _start(
        self,
        offer: OfferKey,
        document: str,
        verb: str,
        kind: OperationKind,
        attempt: Attempt,
        number: str | None = None,
    ) -> str | None:
        """Ask for a submission and return its job. Nothing here can fail once the request was accepted."""
        job = await self._calls.configure(offer, document, verb=verb)
        if job is None:
            return None
        handle = f"{JOB_PREFIX}{job}"
        attempt.accepted(handle)
        self._looks.remember(offer, job, kind, number)
        return handle

    async def _holds(self, offer: OfferKey, change: Change, preview: Tree | None, production: Tree | None) -> bool:
        """Return whether the draft holds the images of a change."""
        slots = trees(await self._reader.tree(offer, Slot.DRAFT), preview, production)
        _, edit = await self._edited(offer, slots, change)
        return not edit.changed

    async def _has_content(self, offer: OfferKey, wanted: Tree) -> bool:
        """Return whether the draft has the content of a definition."""
        return await _draft_has_content(offer, wanted, await self._draft_if_any(offer))

    async def _draft_if_any(self, offer: OfferKey) -> Tree | None:
        with suppress(NotFound):
            return await self._reader.tree(offer, Slot.DRAFT)
        return None


async def _in_thread(
    offer: OfferKey, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
) -> Result:
    """Process documents of the service in a thread. Raise `Unreadable` if they have an undocumented shape."""
    try:
        return await to_thread(work, *args, **kwargs)
    except VersionsHidden as hidden:
        raise Refused(f"read {offer}: {hidden}", call=f"read {offer}") from hidden
    except ValueError as error:
        raise Unreadable(
            f"read {offer}: the marketplace's resources are not as documented: {error}", call=f"read {offer}"
        ) from None


async def _same(offer: OfferKey, before: Tree | None, after: Tree | None) -> bool:
    """Return whether two reads of the draft have the same content."""

    def digests() -> list[str | None]:
        return [OfferContents(tree).evidence if tree is not None else None for tree in (before, after)]

    first, second = await _in_thread(offer, digests)
    return first == second


async def _draft_has_content(offer: OfferKey, wanted: Tree, draft: Tree | None) -> bool:
    return draft is not None and await _in_thread(offer, definitions.says_the_same, wanted, draft)


def _to_publish(slots: Trees, change: Change, product: str) -> tuple[list[str], list[ImageVersion]]:
    """Return the resources to send with a submission, and the live versions that it would remove.

    A submission of the whole draft is sent without resources. It removes live versions that the draft lacks.

    Raises:
        ForeignChanges: The publish would include changes by others.
    """
    _refuse_foreign_changes(slots, change)
    if change.scope is Scope.MODULAR:
        return edits.as_read(slots, change.plans, product=product), []
    return [], [one for one in edits.gone(slots) if one.plan_id in change.plans]


def _refuse_foreign_changes(slots: Trees, change: Change) -> None:
    if change.foreign_edits is ForeignEdits.INCLUDE:
        return
    published = slots.get(Slot.PREVIEW, slots.get(Slot.PRODUCTION))
    foreign_changes.refuse(slots.get(Slot.DRAFT), published, change.scope, change.plans)
    if change.scope is Scope.WHOLE:
        # In the plans of the images, an edit restores missing versions.
        foreign_changes.refuse_gone(one for one in edits.gone(slots) if one.plan_id not in change.plans)


def _document(resources: Sequence[str]) -> str:
    return object_text({"$schema": value_text(CONFIGURE_SCHEMA), "resources": array_text(resources)})


def _submission(product: str, target: str, submission_id: str | None = None) -> str:
    members: dict[str, object] = {"$schema": SUBMISSION_SCHEMA}
    if submission_id is not None:
        members["id"] = submission_id
    return value_text(members | {"product": f"{PRODUCT}/{product}", "target": {"targetType": target}})


def _contents(slot: Contents | None) -> OfferContents | None:
    return slot if isinstance(slot, OfferContents) else None


def _tree(slot: Contents | None) -> Tree | None:
    return slot.tree if isinstance(slot, OfferContents) else None


def _unpublished(images: Sequence[Image], *slots: Contents | None) -> list[ImageVersion]:
    """Return the images that are in none of the slots."""
    missing = [image.image_version for image in images]
    for slot in slots:
        missing = [one for one in slot.missing(images) if one in missing] if slot is not None else missing
    return list(dict.fromkeys(missing))
