"""Glosten-Milgrom quotes of a binary contract: the prices at which a competitive maker earns nothing.

Model      the contract pays V, 1 with probability p, else 0. A trader comes for one contract. With
           probability m, the informed share, the trader knows V and buys where it is 1, sells where it is 0;
           otherwise the trader buys or sells with probability one half each.
Quotes     ask = P(V = 1 | a purchase), bid = P(V = 1 | a sale): no trade changes the maker's expectation.
Beliefs    after a trade the probability is the price that was traded at, so prices are a martingale.
Units      prices are dollars a contract, which are probabilities.
Source     Glosten & Milgrom (1985), Journal of Financial Economics 14.
"""

from typing import NamedTuple

from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.errors import ContractError


class Quotes(NamedTuple):
    """Prices, dollar, at which the maker buys (``bid``) and sells (``ask``) one contract."""

    bid: float
    ask: float


@inline_kernel
def ask_of(p: float, m: float) -> float:
    """Return p (1 + m) / (1 + m (2p - 1)): the probability of YES after a purchase."""
    return p * (1.0 + m) / (1.0 + m * (2.0 * p - 1.0))


@inline_kernel
def bid_of(p: float, m: float) -> float:
    """Return p (1 - m) / (1 - m (2p - 1)): the probability of YES after a sale."""
    return p * (1.0 - m) / (1.0 - m * (2.0 * p - 1.0))


def require_possible(p: float, m: float) -> None:
    """Refuse a probability outside (0, 1), or an informed share outside [0, 1)."""
    if not 0.0 < p < 1.0:
        raise ContractError(f"probability p={p} is outside (0, 1): such a contract is worth what it pays")
    if not 0.0 <= m < 1.0:
        raise ContractError(f"informed share m={m} is outside [0, 1): with 1 no quote breaks even")


def quotes(p: float, m: float) -> Quotes:
    """Zero-profit quotes at probability ``p`` and informed share ``m``; ContractError where none exist."""
    require_possible(p, m)
    return Quotes(bid_of(p, m), ask_of(p, m))
