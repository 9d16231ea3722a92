"""Readiness for many: one probe at a time, shared for a moment."""

import asyncio

import pytest

from kalshi_platform.serving.api.requests import Readiness
from kalshi_platform.serving.server import probing
from kalshi_platform.serving.server.probing import SharedProbe


def test_a_flood_of_askers_costs_one_probe_and_a_later_asker_another(monkeypatch: pytest.MonkeyPatch):
    async def scenario() -> None:
        probes = 0

        async def probe() -> Readiness:
            nonlocal probes
            probes += 1
            await asyncio.sleep(0)
            return Readiness(ready=True, model=f"m-{probes}", tiers={})

        shared = SharedProbe(probe)
        monkeypatch.setattr(probing, "SHARED_S", 600.0)
        found = await asyncio.gather(*(shared.ask() for _ in range(500)))
        assert {each.model for each in found} == {"m-1"}
        monkeypatch.setattr(probing, "SHARED_S", -1.0)
        assert (await shared.ask()).model == "m-2"
        assert probes == 2

    asyncio.run(scenario())
