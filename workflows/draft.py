"""Writes to an offer's draft, one run at a time where no ETag guards it.

Conditional writes protect a draft whose reads carry an ETag. Without one, a run that read before another's write and
writes after it loses the other's image. So from its read to its verified write a run holds the offer's lease: a short
internal run whose workflow ID names the offer. Temporal runs no two of one ID. Whoever finds it taken waits and tries
again, and it ends with its holder: when that is cancelled, terminated or times out, Temporal cancels it, and it lets
go once its write is known to have ended.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.workflow import ActivityCancellationType, ActivityConfig

with workflow.unsafe.imports_passed_through():
    from activities.offers import DraftWritten, EditRequest, OfferActivities, PutOfferRequest
    from marketplace.model import Fact, OfferKey
    from workflows.calls import EDIT, within

ALONE = EDIT | ActivityConfig(cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)


class DraftWrite(Fact):
    """A write to a draft, of a whole offer or of images, and the time it may take with all attempts."""

    put: PutOfferRequest | None = None
    edit: EditRequest | None = None
    time: timedelta

    def alone(self) -> "DraftWrite":
        """Return the same write, by a sole writer."""
        sole = {"sole_writer": True}
        return DraftWrite(
            put=self.put.model_copy(update=sole) if self.put else None,
            edit=self.edit.model_copy(update=sole) if self.edit else None,
            time=self.time,
        )


def lease_of(offer: OfferKey) -> str:
    """Return the workflow ID that one run at a time can have."""
    return f"internal/draft/{offer.publisher_id}/{offer.offer_id}"


async def write(wanted: DraftWrite, config: ActivityConfig = EDIT) -> DraftWritten:
    """Write to the draft; the service may take minutes to answer."""
    if wanted.put is not None:
        return await workflow.execute_activity_method(
            OfferActivities.put_offer, wanted.put, **within(wanted.time, config, f"Put {wanted.put.offer}")
        )
    if wanted.edit is None:
        raise ValueError("a write is of an offer or of images")
    versions = ", ".join(str(image.image_version) for image in wanted.edit.images)
    return await workflow.execute_activity_method(
        OfferActivities.edit_images, wanted.edit, **within(wanted.time, config, f"Put {versions} into the draft")
    )
