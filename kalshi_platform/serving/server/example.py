"""A valid request for the served model, which a curl line can send back as it is.

Real       where the registry keeps an observation of the events that judged the model
           (models/registry/examples.py); else made up, and whoever asks is told so.
"""

import uuid
from typing import Final

import numpy as np

from kalshi_platform.models.registry.examples import Example
from kalshi_platform.serving.api.packed import pack
from kalshi_platform.serving.api.requests import DecideRequest, Group, MarketRow, ModelInfo

#: Words for an example of a model of which no observation was kept.
MADE_UP: Final = "made up: no observation of this model is kept; register it again for a real one"


def kept_request(
    kept: Example, info: ModelInfo, request_id: str | None = None, *, packed: bool = False
) -> DecideRequest:
    """Make a request about the markets of a kept example, as the environment showed them."""
    shown_as = pack if packed else np.ndarray.tolist
    markets = [
        MarketRow.model_validate(
            {
                "id": market.ticker, "state": "active", "row": shown_as(np.array(market.row)),
                "history": shown_as(np.array(market.history[-info.window :])) if info.window else None,
                "allowed": list(market.allowed),
            }
        )
        for market in kept.markets
    ]  # fmt: skip
    return _request(info, request_id, markets)


def example_request(
    info: ModelInfo, request_id: str | None = None, seed: int = 0, *, packed: bool = False
) -> DecideRequest:
    """Make a request about one full group of made-up markets, every feature between its bounds.

    No real market looks like that. ``packed``: its numbers are packed
    (kalshi_platform/serving/api/packed.py).
    """
    rng = np.random.default_rng(seed)
    shown_as = pack if packed else np.ndarray.tolist
    low = np.array([column.low for column in info.columns])
    high = np.array([column.high for column in info.columns])
    temporal = {column.name: column for column in info.columns}
    bounds = [
        (temporal[n].low, temporal[n].high) if n in temporal else (0.0, 1.0) for n in info.history_columns
    ]
    markets = []
    for k in range(info.n_slots):
        row = np.round(rng.uniform(low, high), 4)
        history = None
        if info.window:
            shown = rng.uniform([b[0] for b in bounds], [b[1] for b in bounds], (info.window, len(bounds)))
            history = shown_as(np.round(shown, 4))
        markets.append(
            MarketRow(
                id=f"EXAMPLE-{k + 1}", state="active", row=shown_as(row), history=history,
                allowed=["HOLD", "BUY_YES", "BUY_NO"],
            )
        )  # fmt: skip
    return _request(info, request_id, markets)


def _request(info: ModelInfo, request_id: str | None, markets: list[MarketRow]) -> DecideRequest:
    return DecideRequest(
        request_id=request_id or f"example-{uuid.uuid4().hex[:12]}",
        feature_digest=info.feature_digest,
        columns=[column.name for column in info.columns],
        groups=[Group(markets=markets)],
    )
