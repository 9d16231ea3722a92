"""What each mode may do, and what is refused before anything is sent."""

from pathlib import Path

import pytest
from made.served import REAL_MARKS, SIMULATED_MARKS

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.trading.session import modes

LOCAL = {"rest_url": "http://127.0.0.1:9/trade-api/v2", "stream_url": "ws://localhost:9/trade-api/ws/v2"}


def test_paper_has_no_field_for_limits_or_orders():
    assert set(modes.PaperMode.model_fields) == {"kind", "rest_url", "stream_url"}
    with pytest.raises(ContractError, match="limits"):
        modes.PaperMode.parse({"limits": "x.toml"})


def test_simulated_keeps_to_this_machine():
    assert modes.SimulatedMode.parse(LOCAL).kind == "simulated"
    for name, url in LOCAL.items():
        far = LOCAL | {name: url.replace("127.0.0.1", "10.0.0.1").replace("localhost", "example.com")}
        with pytest.raises(ContractError, match="no loopback address"):
            modes.SimulatedMode.parse(far)


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (modes.DemoMode, modes.REAL_REST),
        (modes.LiveMode, modes.DEMO_REST),
        (modes.LiveMode, "https://api.elections.kalshi.com.example.com/trade-api/v2"),
    ],
)
def test_demo_and_live_trade_at_their_own_hosts_only(kind, url):
    assert kind.parse({"limits": Path("l.toml")}).limits == Path("l.toml")
    with pytest.raises(ContractError, match="not at"):
        kind.parse({"limits": Path("l.toml"), "rest_url": url})
    with pytest.raises(ContractError, match="limits"):
        kind.parse({})


def test_a_variable_that_nobody_reads_is_an_error_with_the_nearest_name():
    modes.refuse_unknown_variables({"KALSHI_API_KEY_ID": "x", "HOME": "y"})
    with pytest.raises(ContractError, match=r"KALSHI_PRIVATE_KEYFILE.*KALSHI_PRIVATE_KEY"):
        modes.refuse_unknown_variables({"KALSHI_PRIVATE_KEYFILE": "x"})


def test_every_variable_that_the_program_reads_is_known():
    from kalshi_platform.domain import commit
    from kalshi_platform.models.registry.store import REGISTRY_VARIABLE
    from kalshi_platform.trading.exchange import signing

    named = {
        commit.COMMIT_VARIABLE, REGISTRY_VARIABLE, signing.KEY_ID_VARIABLE, signing.KEY_FILE_VARIABLE,
        signing.KEY_TEXT_VARIABLE,
    }  # fmt: skip
    assert named <= modes.KNOWN_VARIABLES


@pytest.mark.parametrize("kind", ["paper", "simulated", "demo"])
def test_a_model_that_simulated_data_judged_trades_everywhere_but_live(kind):
    modes.refuse_model(kind, "m", SIMULATED_MARKS)


def test_live_takes_a_model_that_real_data_judged_and_the_gates_passed():
    modes.refuse_model("live", "m", REAL_MARKS)
    with pytest.raises(LimitError, match="recorded data"):
        modes.refuse_model("live", "m", SIMULATED_MARKS)
    with pytest.raises(LimitError, match="passed no gate"):
        modes.refuse_model("live", "m", REAL_MARKS._replace(passed_gates=False))


def test_paper_refuses_a_key_that_may_trade_and_others_one_that_may_not():
    assert modes.refuse_scopes("paper", ("read",)) is None
    with pytest.raises(ContractError, match="may only read"):
        modes.refuse_scopes("paper", ("read", "write::trade"))
    assert modes.refuse_scopes("live", ("read", "write::trade")) is None
    with pytest.raises(ContractError, match="may trade"):
        modes.refuse_scopes("demo", ("read", "write::transfer"))
    assert "did not tell" in str(modes.refuse_scopes("paper", None))


def test_the_words_to_type_hold_account_and_limits():
    words = modes.confirmation("key-1", "abc123")
    assert "key-1" in words
    assert "abc123" in words
    assert words != modes.confirmation("key-1", "abc124")
