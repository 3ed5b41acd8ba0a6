"""Finds products and jobs without a publisher, because no request of this API names one."""

from collections.abc import Iterator

from sandbox.marketplace import SandboxMarketplace
from sandbox.product_ingestion.ids import product_guid
from sandbox.state import Job, Offer, Publisher

Found = tuple[Publisher, Offer]


def products(marketplace: SandboxMarketplace, account: str | None, *, listed: bool = False) -> Iterator[Found]:
    """Yield the products that a client can see, starting with those of the sandbox's own account.

    Args:
        marketplace: The marketplace.
        account: The only publisher that the client's token is for, if there is one.
        listed: Whether to yield only products that can be listed and found by their external IDs.
    """
    only = account or (marketplace.account if listed and marketplace.account_alone else None)
    publishers = sorted(
        marketplace.state.publishers.values(), key=lambda publisher: publisher.id != (only or marketplace.account)
    )
    for publisher in publishers:
        if only in (None, publisher.id):
            for offer in publisher.offers.values():
                if offer.api == "product_ingestion":
                    yield publisher, offer


def by_guid(marketplace: SandboxMarketplace, guid: str, account: str | None) -> Found | None:
    """Return the product with that ID."""
    found = products(marketplace, account)
    return next((each for each in found if product_guid(each[0].id, each[1].id) == guid.lower()), None)


def by_external_id(marketplace: SandboxMarketplace, external_id: str, account: str | None) -> Found | None:
    """Return the first product with that external ID, in any letter case."""
    found = products(marketplace, account, listed=True)
    return next((each for each in found if each[1].id == external_id.lower()), None)


def job_by_id(marketplace: SandboxMarketplace, job_id: str) -> tuple[Publisher, Job] | None:
    """Return the job with that ID, and its publisher."""
    for publisher in marketplace.state.publishers.values():
        job = publisher.jobs.get(job_id.lower())
        if job:
            return publisher, job
    return None
