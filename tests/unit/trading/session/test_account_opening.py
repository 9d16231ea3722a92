"""Opening of an account at an exchange: what a halted one needs before it may trade again."""

import asyncio
from types import SimpleNamespace
from unittest.mock import AsyncMock, Mock

import pytest
from made.exchange import HeldClock, transport

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.session import account_opening


def opened(monkeypatch, tmp_path, executor, **more):
    monkeypatch.setattr(account_opening, "open_executor", AsyncMock(return_value=executor))
    asked = SimpleNamespace(
        mode=SimpleNamespace(rest_url="http://127.0.0.1:1"), out=tmp_path, limits=RiskLimits(),
        **{"resume": "", "accept_losses": False, **more},
    )  # fmt: skip
    recorder = SimpleNamespace(clock=HeldClock())
    rest = transport(lambda request: pytest.fail("nothing is asked"))
    return asyncio.run(account_opening._executor(asked, rest, "key", recorder))


@pytest.mark.parametrize("accept_losses", [False, True])
def test_a_person_resumes_and_says_whether_losses_are_taken(monkeypatch, tmp_path, accept_losses):
    executor = Mock()
    assert opened(monkeypatch, tmp_path, executor, resume="calm", accept_losses=accept_losses) is executor
    executor.resume.assert_called_once_with("calm", accept_losses=accept_losses)
    executor.end_leftovers.assert_called_once_with()


def test_an_account_that_nobody_resumes_stays_as_it_was(monkeypatch, tmp_path):
    executor = Mock()
    opened(monkeypatch, tmp_path, executor)
    executor.resume.assert_not_called()


def test_an_account_that_may_not_resume_is_closed(monkeypatch, tmp_path):
    executor = Mock(close=AsyncMock())
    executor.resume.side_effect = LimitError("the day's loss stands")
    with pytest.raises(LimitError, match="the day's loss"):
        opened(monkeypatch, tmp_path, executor, resume="calm")
    executor.close.assert_awaited_once_with()
    executor.end_leftovers.assert_not_called()
