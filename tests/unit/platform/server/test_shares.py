"""Who takes a new connection, and who leaves it to another worker for a moment."""

import pytest

from datastorage.platform.server.shares import NAPS, PLACES, Share, Shares


@pytest.fixture
def three() -> list[Share]:
    """The shares of three workers; none accepts anything yet."""
    shares = Shares()
    made: list[Share] = []
    for _ in range(3):
        made.append(shares.another(made))
    return made


def times_waited(share: Share) -> int:
    """Let the others go first although none of them does, and return how often it was looked."""
    looked: list[bool] = []

    def is_still_there() -> bool:
        looked.append(True)
        return True

    share.let_others_go_first(is_still_there)
    return len(looked)


def test_worker_that_is_alone_takes_a_connection_at_once(three: list[Share]) -> None:
    three[0].tell(100)

    assert times_waited(three[0]) == 0


def test_worker_that_has_not_begun_to_accept_takes_what_there_is(three: list[Share]) -> None:
    three[1].tell(0)

    assert times_waited(three[0]) == 0


def test_worker_with_more_than_another_waits_but_not_for_ever(three: list[Share]) -> None:
    for share, open_connections in zip(three, (1, 1, 0), strict=True):
        share.tell(open_connections)

    assert [times_waited(share) for share in three] == [NAPS, NAPS, 0]


def test_wait_ends_when_somebody_took_the_connection(three: list[Share]) -> None:
    three[0].tell(5)
    three[1].tell(0)
    seen = iter([True, False])

    three[0].let_others_go_first(lambda: next(seen))

    assert next(seen, None) is None


def test_wait_ends_when_the_others_have_as_many(three: list[Share]) -> None:
    three[0].tell(5)
    three[1].tell(4)

    def another_accepts_one() -> bool:
        three[1].tell(5)
        return True

    three[0].let_others_go_first(another_accepts_one)

    assert times_waited(three[0]) == 0


@pytest.mark.parametrize(("most", "naps"), [(81, 0), (90, 0), (91, NAPS)])
def test_an_eighth_more_is_even_enough_in_a_crowd(three: list[Share], most: int, naps: int) -> None:
    three[0].tell(most)
    three[1].tell(80)

    assert times_waited(three[0]) == naps


def test_nobody_waits_for_a_worker_that_left(three: list[Share]) -> None:
    three[0].tell(5)
    three[1].tell(0)
    three[1].withdraw()

    assert times_waited(three[0]) == 0


def test_place_of_a_worker_that_is_gone_is_given_again_and_empty() -> None:
    shares = Shares()
    stays, gone = shares.another([]), shares.another([shares.another([])])
    gone.tell(0)
    stays.tell(5)

    replacement = shares.another([stays])

    assert (stays.place, replacement.place) == (0, gone.place)
    assert times_waited(stays) == 0


def test_more_workers_than_places_can_be_started() -> None:
    shares = Shares()
    taken: list[Share] = []

    for _ in range(PLACES + 2):
        taken.append(shares.another(taken))

    assert [share.place for share in taken[-3:]] == [PLACES - 1] * 3
