"""The file of limits: exact, whole, and without a key that nobody knows."""

from decimal import Decimal

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.execution.risk.limits import (
    RiskLimits,
    contracts_e2,
    read_limits,
    usd_e4,
    usd_e6,
)


def read(tmp_path, text):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    return read_limits(path)


def test_values_are_exact_whichever_way_they_are_written(tmp_path):
    limits = read(tmp_path, 'order_cost_usd = 5.10\norder_contracts = "0.30"\nprice_distance_usd = 0.0450\n')
    assert usd_e6(limits.order_cost_usd) == 5_100_000
    assert contracts_e2(limits.order_contracts) == 30
    assert usd_e4(limits.price_distance_usd) == 450
    assert RiskLimits.parse({"day_loss_usd": 0.1}).day_loss_usd == Decimal("0.1")


def test_named_categories_have_their_own_limit(tmp_path):
    limits = read(tmp_path, "category_loss_usd = 100\n[category_losses_usd]\nSports = 7.5\n")
    assert limits.category_loss_e6("Sports") == 7_500_000
    assert limits.category_loss_e6("Crypto") == 100_000_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("order_cost = 5", "order_cost_usd"),
        ("day_los_usd = 5", "day_loss_usd"),
        ("order_cost_usd = nan", "order_cost_usd"),
        ("order_cost_usd = inf", "order_cost_usd"),
        ("order_cost_usd = -1", "greater than or equal to 0"),
        ("order_cost_usd = true", "no numbers"),
        ("order_cost_usd = 0.0000001", "decimal"),
        ("order_contracts = 0.001", "decimal"),
        ("day_orders = 1.5", "day_orders"),
        ("losing_streak = 0", "losing_streak"),
        ("drawdown_window_h = nan", "drawdown_window_h"),
        ("order_cost_usd = 5\norder_cost_usd = 6", "no TOML"),
        ("order_cost_usd: 5", "no TOML"),
        ("[category_losses_usd]\nSports = nan", "category_losses_usd"),
        ("[category_losses_usd]\nsports = 5", "did you mean 'Sports'"),
        ("[category_losses_usd]\nElection = 5", "did you mean 'Elections'"),
        ("category_losses_usd = 5", "category_losses_usd"),
        ("market_orders = true", "no numbers"),
        ("losing_streak = true", "no numbers"),
        ("drawdown_window_h = true", "no numbers"),
        ('day_orders = "5"', "without quotes"),
        ("day_orders = 99999999999999999999999", "day_orders"),
        ("region_margin_h = 1e308", "region_margin_h"),
        ("order_cost_usd = 1e400", "order_cost_usd"),
        ("drawdown_window_h = 1e400", "drawdown_window_h"),
        ("order_cost_usd = 1979-05-27T07:32:00Z", "order_cost_usd"),
        ("day_orders = 1979-05-27", "day_orders"),
        ("order_cost_usd = [5]", "order_cost_usd"),
        ('order_cost_usd = "5_0"', "order_cost_usd"),
        ('order_cost_usd = "nan"', "order_cost_usd"),
        ('order_contracts = "٣"', "order_contracts"),
    ],
)
def test_what_is_no_limit_is_refused_by_name(tmp_path, text, words):
    with pytest.raises(ContractError, match=words) as refused:
        read(tmp_path, text)
    assert "limits.toml" in str(refused.value)
    assert len(str(refused.value)) < 500


def test_a_category_that_is_new_may_have_a_limit(tmp_path):
    assert read(tmp_path, "[category_losses_usd]\nSpace = 5").category_loss_e6("Space") == 5_000_000


def test_a_long_file_is_read_to_its_end(tmp_path):
    text = "# " + "a" * (1 << 21) + "\nday_loss_usd = 7\n"
    assert read(tmp_path, text).day_loss_usd == 7


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5_000], ids=["nested", "digits"])
def test_a_value_that_python_cannot_read_is_refused(tmp_path, value):
    with pytest.raises(ContractError, match="is no TOML"):
        read(tmp_path, f"day_loss_usd = {value}")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(ContractError, match="cannot be read"):
        read_limits(tmp_path / "none.toml")


def test_every_limit_says_what_it_is():
    assert all(field.description for field in RiskLimits.model_fields.values())
