"""Settings of a stream: address, channels, and the patience with which it watches the connection."""

from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.trading.exchange.addresses import checked_address

#: The channel whose books need whole snapshots.
BOOK_CHANNEL: Final = "orderbook_delta"
#: Longest message of the exchange, bytes.
MOST_FRAME_BYTES: Final = 64 << 20


class ExchangeStreamSettings(Config):
    """One connection to the exchange's stream, and what it subscribes to."""

    url: str = Field(
        "wss://external-api-ws.kalshi.com/trade-api/ws/v2", description="of the stream, ws:// or wss://"
    )
    market_channels: tuple[str, ...] = Field(
        (BOOK_CHANNEL, "trade", "ticker"), description="channels subscribed for the added markets"
    )
    global_channels: tuple[str, ...] = Field(
        ("market_lifecycle_v2",), description="channels subscribed whole, without markets"
    )
    use_yes_price: bool = Field(
        True, description="scale of NO prices in books; always sent, since the exchange's default will flip"
    )
    batch_markets: int = Field(500, ge=1, le=500, description="markets of one command")
    proxy: str | None = Field(None, description="HTTP proxy; the environment's proxies are not used")
    compression: Literal["deflate"] | None = Field(None, description="deflate costs CPU, saves the line")
    open_timeout_s: float = Field(10.0, gt=0)
    ping_every_s: float = Field(10.0, gt=0)
    pong_timeout_s: float = Field(5.0, gt=0, description="the socket is half-open from then on")
    silence_s: float = Field(30.0, gt=0, description="without a frame, the exchange is asked what it sends")
    command_timeout_s: float = Field(10.0, gt=0, description="a command without answer is sent again")
    command_tries: int = Field(3, ge=1, description="unanswered commands in a row before a new connection")
    snapshot_timeout_s: float = Field(5.0, gt=0, description="a book that did not come is asked for again")
    resync_pause_s: float = Field(1.0, gt=0, description="between two requests for whole books")
    gaps_before_reconnect: int = Field(20, ge=1, description="gaps in a row without one whole recovery")
    first_pause_s: float = Field(0.5, gt=0, description="before connecting or subscribing again; doubles")
    longest_pause_s: float = Field(30.0, gt=0)
    stable_s: float = Field(60.0, gt=0, description="a connection that lasted so long resets the pause")
    queue_frames: int = Field(
        100_000, ge=1, description="received and not yet taken; more are dropped and told"
    )
    queue_bytes: int = Field(256 << 20, ge=MOST_FRAME_BYTES)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        return checked_address(url, ("ws", "wss"))

    @model_validator(mode="after")
    def _apart(self) -> "ExchangeStreamSettings":
        both = set(self.market_channels) & set(self.global_channels)
        if both or not (self.market_channels or self.global_channels):
            raise ValueError(f"channels {sorted(both) or 'none'}: name at least one, each once")
        return self
