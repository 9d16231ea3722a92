"""The four modes of a session, as types: a mode has the fields that it may use, and no others.

simulated   orders go to a simulated exchange on this machine
paper       live frames; the environment's matcher makes the fills. The type has no limits, no order client;
            its transport (``read_only.py``) sends no write.
demo        orders go to the exchange's demonstration, with play money
live        orders go to the exchange: limits from a file, and the words of ``confirmation`` typed in

Checked     addresses (loopback, demonstration, real), the key's scopes, and variables of the environment: one
            that begins like ours and that nobody knows is an error, since it is most likely a misspelt one.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.domain.near import nearest
from kalshi_platform.models.registry.marks import Marks
from kalshi_platform.trading.exchange.addresses import (
    DEMO_HOSTS,
    REAL_HOSTS,
    checked_address,
    is_loopback_host,
)

REAL_REST: Final = "https://external-api.kalshi.com/trade-api/v2"
REAL_STREAM: Final = "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
DEMO_REST: Final = "https://external-api.demo.kalshi.co/trade-api/v2"
DEMO_STREAM: Final = "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2"

#: Variables of the environment that this program knows, of all its parts.
KNOWN_VARIABLES: Final = frozenset({
    "KALSHI_PLATFORM_COMMIT", "KALSHI_PLATFORM_REGISTRY", "KALSHI_PLATFORM_HOME", "KALSHI_PLATFORM_CACHE",
    "KALSHI_PLATFORM_CACHE_GB", "KALSHI_PLATFORM_TOKEN", "KALSHI_PLATFORM_STORE_PATIENCE_S",
    "KALSHI_PLATFORM_ALERTS", "KALSHI_CLIENT_TOKENS", "KALSHI_ADMIN_TOKENS", "KALSHI_PRIVATE_KEY_FILE",
    "KALSHI_PRIVATE_KEY", "KALSHI_API_KEY_ID",
})  # fmt: skip
_OURS: Final = "KALSHI_"


def is_loopback(url: str) -> bool:
    """True for an address on this machine."""
    return is_loopback_host(urlsplit(url).hostname or "")


class _Mode(Config):
    """Addresses that every mode has."""

    rest_url: str = Field(description="root of the exchange's REST calls")
    stream_url: str = Field(description="address of the exchange's stream")

    @model_validator(mode="after")
    def _are_addresses(self) -> "_Mode":
        checked_address(self.rest_url, ("http", "https"))
        checked_address(self.stream_url, ("ws", "wss"))
        return self

    @property
    def hosts(self) -> tuple[str, str]:
        """Hosts of both addresses."""
        return urlsplit(self.rest_url).hostname or "", urlsplit(self.stream_url).hostname or ""


class SimulatedMode(_Mode):
    """Orders go to a simulated exchange on this machine."""

    kind: Literal["simulated"] = "simulated"
    limits: Path | None = Field(None, description="TOML file of limits; None: the defaults")

    @model_validator(mode="after")
    def _stays_here(self) -> "SimulatedMode":
        for url in (self.rest_url, self.stream_url):
            if not is_loopback(url):
                raise ValueError(
                    f"mode simulated sends orders and keeps to this machine: {url} is no loopback address"
                )
        return self


class PaperMode(_Mode):
    """No orders leave this process: there is no field for anything that could send one."""

    kind: Literal["paper"] = "paper"
    rest_url: str = REAL_REST
    stream_url: str = REAL_STREAM


class DemoMode(_Mode):
    """Orders go to the exchange's demonstration."""

    kind: Literal["demo"] = "demo"
    rest_url: str = DEMO_REST
    stream_url: str = DEMO_STREAM
    limits: Path = Field(description="TOML file of limits")

    @model_validator(mode="after")
    def _is_demo(self) -> "DemoMode":
        if not all(host in DEMO_HOSTS for host in self.hosts):
            raise ValueError(f"mode demo trades with play money at {sorted(DEMO_HOSTS)}, not at {self.hosts}")
        return self


class LiveMode(_Mode):
    """Orders go to the exchange, with real money."""

    kind: Literal["live"] = "live"
    rest_url: str = REAL_REST
    stream_url: str = REAL_STREAM
    limits: Path = Field(description="TOML file of limits")

    @model_validator(mode="after")
    def _is_real(self) -> "LiveMode":
        if not all(host in REAL_HOSTS for host in self.hosts):
            raise ValueError(f"mode live trades at {sorted(REAL_HOSTS)}, not at {self.hosts}")
        return self


OrderMode: TypeAlias = SimulatedMode | DemoMode | LiveMode
TradingMode: TypeAlias = Annotated[OrderMode | PaperMode, Field(discriminator="kind")]


def refuse_unknown_variables(environment: Mapping[str, str] | None = None) -> None:
    """ContractError for a variable that begins like ours and that nobody reads."""
    names = os.environ if environment is None else environment
    unknown = sorted(name for name in names if name.startswith(_OURS) and name not in KNOWN_VARIABLES)
    if unknown:
        near = nearest(unknown[0], dict.fromkeys(KNOWN_VARIABLES, ""))
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(KNOWN_VARIABLES))}"
        raise ContractError(f"unknown variable of the environment {unknown[0]}: {hint} Or unset it")


def refuse_model(kind: str, model: str, marks: Marks) -> None:
    """LimitError where a model must not trade in a mode: live, one that real data did not judge."""
    if kind == "live" and marks.simulated:
        raise LimitError(
            f"{model} trades no real money: judged on {marks.judged_on}; mode live takes a model that "
            "recorded data of the exchange judged. Trade it in mode paper, and judge it on what you record"
        )
    if kind == "live" and not marks.passed_gates:
        raise LimitError(
            f"{model} trades no real money: it passed no gate; promote one by kalshi-platform models promote"
        )


def refuse_scopes(kind: str, scopes: tuple[str, ...] | None) -> str | None:
    """Refuse a key that may trade in mode paper, and one that may not elsewhere; words where unknown.

    ``scopes`` None: the exchange did not tell them.
    """
    if scopes is None:
        return "the exchange did not tell what the key may do"
    writes = [scope for scope in scopes if scope == "write" or scope.startswith("write::trade")]
    if kind == "paper" and any(scope.startswith("write") for scope in scopes):
        raise ContractError(
            f"mode paper takes a key that may only read; this one has {', '.join(scopes)}: make a key with "
            "the scope read"
        )
    if kind != "paper" and not writes:
        raise ContractError(f"mode {kind} needs a key that may trade; this one has {', '.join(scopes)}")
    return None


def confirmation(key_id: str, limits_digest: str) -> str:
    """Words that a user must type before real money is traded: account and limits."""
    return f"trade {key_id} within {limits_digest}"
