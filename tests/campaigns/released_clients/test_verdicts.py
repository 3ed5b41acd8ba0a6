"""The verdicts on the plays of clients."""

import pytest

from tests.campaigns.released_clients.clients import Wanted
from tests.campaigns.released_clients.offers import FIRST, GALLERY_VERSION, OTHER_PLAN, PLAN, State
from tests.campaigns.released_clients.plays import Played, verdict

NEW = Wanted().version


def played(
    *live: str, publishes: int = 1, ending: str | None = None, by_hand: bool = False, effects: int = 0
) -> Played:
    """Return the result for one image that reached the preview, and is live if it is among these versions."""
    preview = {PLAN: [FIRST, NEW]}
    state = State({"Draft": preview, "Preview": preview, "Production": {PLAN: live}}, publishes, 1, running=False)
    return Played([Wanted()], [ending], requests=7, by_hand=by_hand, effects=effects, state=state)


def test_an_image_that_is_live_after_one_submission_is_a_success() -> None:
    assert verdict("killed", played(FIRST, NEW)) == ("yes", "live; 1 submission")


def test_a_client_that_a_person_had_to_start_again_gets_its_own_verdict() -> None:
    assert verdict("killed", played(FIRST, NEW, by_hand=True))[0] == "goes on when started again by hand"


def test_a_client_that_ends_with_an_error_fails_even_if_its_image_is_live() -> None:
    word, told = verdict("lost answer", played(FIRST, ending="HTTPError: 409"))

    assert (word, told) == ("fails", "in the preview; 1 submission; `HTTPError: 409`")
    assert verdict("lost answer", played(FIRST, NEW, ending="HTTPError: 409"))[0] == "fails"


def test_a_reported_success_without_a_live_image_is_not_a_success() -> None:
    assert verdict("killed", played(FIRST))[0] == "says yes, and is not live"


def test_a_lost_image_is_worse_than_a_second_submission_which_is_worse_than_an_error() -> None:
    assert verdict("lost answer", played(FIRST, NEW, publishes=2, ending="late"))[0] == "publishes twice"
    assert verdict("lost answer", played(NEW, publishes=2, ending="late"))[0] == f"loses {FIRST}"
    assert verdict("gallery", played(FIRST, NEW))[0] == f"loses {GALLERY_VERSION}"


@pytest.mark.parametrize(("publishes", "effects"), [(2, 0), (1, 1)])
def test_a_second_run_that_changes_anything_counts_as_publishing_again(publishes: int, effects: int) -> None:
    assert verdict("again", played(FIRST, NEW))[0] == "yes"
    assert verdict("again", played(FIRST, NEW, publishes=publishes, effects=effects))[0] == "publishes again"


def test_two_builds_may_need_one_submission_each_and_must_both_be_live() -> None:
    wanted = [Wanted(), Wanted(plan=OTHER_PLAN)]
    both = {PLAN: [FIRST, NEW], OTHER_PLAN: [FIRST, NEW]}
    one = both | {OTHER_PLAN: [FIRST]}

    def state(live: dict[str, list[str]]) -> State:
        return State({"Draft": both, "Preview": one, "Production": live}, 2, 2, running=False)

    assert verdict("together", Played(wanted, [None, None], state=state(both))) == (
        "yes",
        "both live; 2 submissions",
    )
    assert verdict("together", Played(wanted, [None, "HTTPError"], state=state(one))) == (
        "fails",
        "live, in the draft; 2 submissions; `HTTPError`",
    )
