"""Settings of the served policy: ``args`` of the application in a Serve config file.

Invariant  the defaults are the safe ones: a token is asked for, bodies, rates and sizes are bounded.
Not        secrets: a file or an environment variable is named, never its content.
"""

from typing import Any, Final, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config, with_present_names
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.registry.record import MODEL_ID
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.serving.guard.candidate import CheckConfig
from kalshi_platform.serving.guard.guard import GuardConfig
from kalshi_platform.serving.guard.watch import WatchConfig
from kalshi_platform.serving.inference.hop import INSIDE_MS
from kalshi_platform.serving.inference.tiered import TieredConfig
from kalshi_platform.serving.live.sessions import SessionConfig
from kalshi_platform.serving.server.arrivals import ArrivalArgs
from kalshi_platform.serving.server.breaker import BreakerConfig
from kalshi_platform.serving.server.feature_cache import FeatureCacheConfig
from kalshi_platform.serving.server.gate import AccessArgs, RateLimitConfig
from kalshi_platform.serving.server.idempotency import IdempotencyConfig
from kalshi_platform.serving.server.sockets import CLOSING, SocketArgs, frame_cost

#: Settings that config files of older releases call otherwise: old name -> name.
_OLDER_NAMES: Final = {
    "tier3": "tier_3", "tier3_inside_ms": "tier_3_inside_ms", "tier3_replicas": "tier_3_replicas",
    "tier3_cpus": "tier_3_cpus",
}  # fmt: skip


class ProxyArgs(Config):
    """Bounds in HAProxy, in front of every replica; a Ray that runs already was started with its own."""

    header_s: int = Field(
        5, ge=1, le=3_600, description="longest time for a header, and for the first 16 kB of a body"
    )
    idle_s: int = Field(30, ge=1, le=3_600, description="life of a connection between two requests")
    silent_s: int = Field(
        60,
        ge=45,  # a replica pings a stream every 20 s and waits 20 s for the answer
        le=86_400,
        description="longest silence of a client that sends or is sent something, streams included",
    )
    per_address: int = Field(
        1_024, ge=1, description="connections of one address at a time; loopback is excepted"
    )


class LimitArgs(Config):
    """Limits of one request and of one client."""

    body_bytes: int = Field(4 * 2**20, ge=1_024, description="longest body; longer ones are answered 413")
    groups: int = Field(128, ge=1, description="groups of one request; more are answered 413")
    rates: RateLimitConfig = Field(
        default_factory=RateLimitConfig,
        description="of one token, or one address without token; each replica counts for itself",
    )
    answers: IdempotencyConfig = Field(
        default_factory=IdempotencyConfig, description="answers given again to a repeated request id"
    )
    features: FeatureCacheConfig = Field(
        default_factory=FeatureCacheConfig, description="for how long features may be left out of a request"
    )
    message_chars: int = Field(
        2**21, ge=1_024, description="longest message of a stream; the WebSocket itself reads 16 MiB at most"
    )
    frames: RateLimitConfig = Field(
        default_factory=lambda: RateLimitConfig(rate_per_s=2_000, burst=4_000),
        description="frames of one client over all its streams; a frame costs one, and one more for every "
        "4,096 characters. Those beyond it wait, and the client's connection with them",
    )
    work: RateLimitConfig = Field(
        default_factory=lambda: RateLimitConfig(rate_per_s=250_000, burst=500_000),
        description="microseconds of a processor for the streams of one client: a quarter of one. A frame "
        "that asks for a decision takes many; a client that has used them up waits",
    )
    deciding: RateLimitConfig = Field(
        default_factory=lambda: RateLimitConfig(rate_per_s=500_000, burst=1_000_000),
        description="microseconds of a processor for the requests of one client while others ask: half of "
        "one. A client that has used them up and is not alone is answered 429",
    )
    arriving: ArrivalArgs = Field(
        default_factory=ArrivalArgs, description="bodies that are still arriving: their deadline and room"
    )
    sockets: SocketArgs = Field(
        default_factory=SocketArgs, description="connections of streams: when they end, and who gives way"
    )
    proxy: ProxyArgs = Field(
        default_factory=ProxyArgs, description="HAProxy's bounds, where `kalshi-platform serve` starts it"
    )
    streams: SessionConfig = Field(default_factory=SessionConfig, description="sessions of streams")

    @model_validator(mode="after")
    def _every_message_can_be_granted(self) -> Self:
        if (costs := frame_cost(self.message_chars)) > self.frames.burst:
            raise ValueError(
                f"message_chars={self.message_chars} lets a message cost {costs} frames and frames.burst="
                f"{self.frames.burst} never grants so many: raise the burst, or lower message_chars"
            )
        return self

    @property
    def held_places(self) -> int:
        """Places of a replica that bodies on their way and streams can hold; none of those that decide."""
        return self.arriving.bodies + self.streams.max_sessions + self.sockets.unopened + CLOSING


class PolicyAppArgs(Config):
    """Settings of the application that ``serve_deployments.app:build`` makes."""

    registry: str | None = Field(
        None, description="folder or s3:// address; KALSHI_PLATFORM_REGISTRY or this program's home if none"
    )
    model: str = Field(CHAMPION, description="alias that is followed")
    shadow: str | None = Field(
        None,
        description="alias of a second model that also decides; agreement is counted, "
        "its answers are not sent",
    )
    access: AccessArgs = Field(description="who may ask")
    limits: LimitArgs = Field(default_factory=LimitArgs, description="how much may be asked")
    deadline_ms: float = Field(
        50.0,
        gt=0,
        le=60_000,
        description="time limit in ms for requests that set no deadline, from their arrival in the server",
    )
    tier_3: bool = Field(
        True,
        description="run tier 3 (the model itself) in a process of its own, or inside each server process",
    )
    tier_3_inside_ms: float = Field(
        INSIDE_MS,
        ge=0,
        description="where tier 3 takes less than this for one group, as measured when the model was loaded, "
        "the replica asks its own: a hop would take longer; 0 = always the deployment",
    )
    replicas: int = Field(
        1, ge=1, description="number of server processes; each runs caches, rules, tiers 1 and 2"
    )
    tier_3_replicas: int = Field(1, ge=1, description="of tier 3")
    max_ongoing_requests: int = Field(
        100, ge=1, description="of one replica at a time, beside bodies on their way and streams"
    )
    max_queued_requests: int = Field(
        1_000, ge=-1, description="waiting for tier 3 in one ingress replica; -1 = any number"
    )
    replica_cpus: float = Field(1.0, ge=0, description="CPUs an ingress replica reserves")
    tier_3_cpus: float = Field(1.0, ge=0, description="CPUs a replica of tier 3 reserves")
    health_check_s: float = Field(5.0, gt=0, description="time between Serve's looks at a replica")
    breaker: BreakerConfig = Field(
        default_factory=BreakerConfig, description="when tier 3 is not asked for a while"
    )
    check: CheckConfig = Field(default_factory=CheckConfig, description="bounds of a new model")
    watch: WatchConfig = Field(default_factory=WatchConfig, description="when a new model is taken back")
    poll_s: float = Field(5.0, gt=0, description="time between looks at the registry")
    probe_s: float = Field(5.0, gt=0, description="time between two probes of every tier, by the replica")
    log_share: float = Field(1.0, ge=0, le=1, description="decided requests logged; refusals always are")
    export_s: float = Field(1.0, gt=0, le=60, description="time between two exports of metrics")
    inference_ttl_ms: int = Field(50, ge=0, description="an answer to an equal state is given again so long")

    @model_validator(mode="before")
    @classmethod
    def _of_today(cls, values: Any) -> Any:
        return with_present_names(values, _OLDER_NAMES)

    @property
    def guard(self) -> GuardConfig:
        """Settings of the guard of one replica's model."""
        caches = TieredConfig(inference_ttl_ms=self.inference_ttl_ms)
        return GuardConfig(
            alias=self.model, shadow=self.shadow, check=self.check, watch=self.watch, caches=caches
        )


def require_model(registry: Registry, name: str) -> str:
    """Return the id that alias ``name`` stands for; ContractError says how to get a model if it has none."""
    if MODEL_ID.fullmatch(name):
        raise ContractError(
            f"model {name!r} is an id: a service follows an alias, so that a bad model can be taken back; "
            "promote it (kalshi-platform models) and name the alias"
        )
    model = registry.aliases().model(name)
    if model is None:
        raise ContractError(registry.lacks(name))
    return model
