"""The result of a session: equity less capital, payments left out."""

from kalshi_platform.trading.session.result import result_e6


def test_a_payment_is_no_result_and_older_figures_tell_none():
    assert result_e6({"equity_e6": 130, "capital_e6": 100, "paid_in_e6": 50}) == -20
    assert result_e6({"equity_e6": 130, "capital_e6": 100}) == 30
