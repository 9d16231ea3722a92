"""Which session a connecting client gets, and when one is forgotten."""

import json
from itertools import count

import pytest
from made.served import reading
from made.stream_texts import MODEL, TRADING, answers, delta, snapshot

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.serving.live.sessions import SessionConfig, SessionStore

SECOND = 1_000_000_000


@pytest.fixture
def store() -> SessionStore:
    names = count(1)
    return SessionStore(SessionConfig(max_sessions=2, keep_s=10), new_id=lambda: f"s-{next(names)}")


def opened(store, now_s=0, owner="me", model=MODEL, **opening):
    asked = {"type": "open", "accept_missing_inputs": True, **opening}
    lease = store.open(json.dumps(asked), model, now_s * SECOND, owner)
    return lease, json.loads(lease.messages[0])


def test_a_client_that_comes_back_in_time_goes_on_where_it_was(store) -> None:
    lease, first = opened(store)
    assert (first["session"], first["resumed"], first["next_frame"]) == ("s-1", False, 1)
    answers(lease.session, snapshot(), delta(2))
    store.leave(lease, 0)
    again, told = opened(store, now_s=9, session="s-1", decide_after=2)
    assert again.session is lease.session
    assert (told["resumed"], told["next_frame"], told["groups"]) == (True, 3, [["KXTEST-1-A"]])


@pytest.mark.parametrize("how", ["late", "another owner", "another view", "closed", "unknown"])
def test_whoever_cannot_go_on_gets_a_new_session_and_says_where_its_frames_begin(store, how: str) -> None:
    lease, _ = opened(store)
    if how == "closed":
        lease.session.closed = True
    store.leave(lease, 0)
    _, told = opened(
        store,
        now_s=10 if how == "late" else 1,
        owner="you" if how == "another owner" else "me",
        model=reading(TRADING, 9, "l1-0123456789ab") if how == "another view" else MODEL,
        session="s-0" if how == "unknown" else "s-1",
        first_frame=40,
    )
    assert (told["session"], told["resumed"], told["next_frame"]) == ("s-2", False, 40)


def test_a_model_that_is_shown_the_same_takes_a_session_over(store) -> None:
    lease, _ = opened(store)
    store.leave(lease, 0)
    _, told = opened(store, session="s-1", model=reading(TRADING, 8, "l1-ffffffffffff"))
    assert (told["resumed"], told["model"]) == (True, "l1-ffffffffffff")


def test_the_newest_connection_holds_a_session(store) -> None:
    old, _ = opened(store)
    new, _ = opened(store, session="s-1")
    assert not store.holds(old)
    assert store.holds(new)
    store.leave(old, 0)
    assert store.expire(10**15) == 0


def test_room_is_made_by_the_session_left_longest_ago_and_never_by_a_connected_one(store) -> None:
    first, _ = opened(store)
    second, _ = opened(store)
    with pytest.raises(LimitError, match="2 sessions are open"):
        opened(store)
    store.leave(second, 1)
    store.leave(first, 2)
    opened(store, now_s=3)
    assert opened(store, now_s=3, session="s-1")[1]["resumed"]
    assert len(store) == 2


def test_a_closed_session_is_forgotten_when_its_connection_ends(store) -> None:
    lease, _ = opened(store)
    lease.session.closed = True
    store.leave(lease, 0)
    assert len(store) == 0


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"type": "ack"}', '{"type": "open", "x": 1}', '{"type": ["open"]}', "x" * 2_000_000]
)
def test_a_first_message_that_opens_nothing_is_refused(store, text: str) -> None:
    with pytest.raises(ContractError):
        store.open(text, MODEL, 0)
    assert len(store) == 0


def test_one_owner_has_at_most_its_share_of_the_sessions_and_another_still_gets_one() -> None:
    store = SessionStore(SessionConfig(max_sessions=4, max_of_one=2))
    leases = [opened(store, owner="greedy")[0] for _ in range(2)]
    with pytest.raises(LimitError, match="as many as one may have"):
        opened(store, owner="greedy")
    opened(store, owner="other")
    store.leave(leases[0], 0)
    opened(store, owner="greedy")
    assert len(store) == 4, "what waits for its client is kept while there is room"


def test_an_owner_that_comes_and_goes_pushes_out_its_own_sessions_and_no_others() -> None:
    store = SessionStore(SessionConfig(max_sessions=3, max_of_one=3))
    quiet, told = opened(store, owner="quiet")
    store.leave(quiet, 0)
    for _ in range(10):
        store.leave(opened(store, owner="busy")[0], 1)
    assert opened(store, now_s=2, owner="quiet", session=told["session"])[1]["resumed"]
