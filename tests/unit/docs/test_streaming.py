"""The session in docs/streaming.md is what the server does."""

import json
import re
from pathlib import Path

from made.served import reading
from made.stream_texts import NOW_NS, Policy

from kalshi_platform.serving.live.sessions import SessionStore
from kalshi_platform.simulation.replay.trading import TradingConfig

PAGE = Path(__file__).parents[3] / "docs" / "streaming.md"


def test_the_session_on_the_page_is_answered_as_it_says() -> None:
    steps = [
        line
        for block in re.findall(r"```session\n(.*?)```", PAGE.read_text(), re.DOTALL)
        for line in block.splitlines()
    ]
    store = SessionStore(new_id=lambda: "s-1")
    model = reading(TradingConfig(n_slots=3), 8, "tiny-0123456789ab")
    lease = store.open(steps[0].removeprefix("> "), model, 0)
    answers = [json.loads(message) for message in lease.messages]
    for step in steps[1:]:
        if step.startswith("> "):
            assert answers == [], "the page leaves an answer out"
            answers = [json.loads(m) for m in lease.session.step(step.removeprefix("> "), NOW_NS, Policy())]
        else:
            assert json.loads(step.removeprefix("< ")) == answers.pop(0)
    assert answers == []
    assert len(steps) == 10


def test_the_page_names_every_field_of_every_message_to_the_server() -> None:
    from kalshi_platform.serving.api.messages import AccountMessage, Holding, OpenMessage, RestingOrder

    page = PAGE.read_text()
    for config in (OpenMessage, AccountMessage, Holding, RestingOrder):
        for name in config.model_fields:
            assert f"`{name}`" in page, name
