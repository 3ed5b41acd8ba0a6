"""As `temporal_bare`, but each look is a local activity of one attempt, and an ordinary activity when that fails."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from bench.compare.contestants.temporal_bare import Activities, Publication, main


@workflow.defn(name="Publication")
class LocalLooks(Publication):
    """A publication that looks locally."""

    @workflow.run
    async def run(self, offer: str, wait: float, at_sign_off: bool) -> None:  # noqa: FBT001
        """Publish one offer."""
        await super().run(offer, wait, at_sign_off)

    async def look(self, offer: str, operation: str) -> bool:
        """Look once."""
        try:
            return await workflow.execute_local_activity_method(
                Activities.look,
                args=[offer, operation],
                start_to_close_timeout=timedelta(seconds=2),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except (ActivityError, ApplicationError):
            return await super().look(offer, operation)


if __name__ == "__main__":
    main(LocalLooks)
