"""Bodies on the wire: requests, answers and problems, as pydantic models with examples.

Units      prices 1e-4 dollar, times ms; features as the feature table bounds them.
Invariant  the server reads requests strictly: it refuses an unknown key, a number as text, NaN and
           infinities.
Packed     text in the place of a whole row or history packs its numbers
           (kalshi_platform/serving/api/packed.py).
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from kalshi_platform.data.market_data.faults import MAX_QTY_E2
from kalshi_platform.domain.actions import ActionName
from kalshi_platform.domain.fees import TAKER_RATE_E6
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.serving.inference.batch import NoteName, TierName, present_name

#: The exchange's own words (REST ``status``) and those of its filters; only ``active`` is traded.
MarketState = Literal[
    "active", "paused", "inactive", "initialized", "closed",
    "determined", "disputed", "amended", "settled", "finalized",
]  # fmt: skip

_MAX_AGE_MS: Final = 10**12  # in ns exact in 64 bits

Number = Annotated[float, Field(allow_inf_nan=False)]
PriceE4 = Annotated[int, Field(ge=0, le=DOLLAR_E4)]
RequestId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]


#: The example packs 0.25 and -0.5.
Packed = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "contentEncoding": "base64",
            "title": "Packed",
            "description": "base64 of little-endian float32",
            "examples": ["AACAPgAAAL8="],
        }
    ),
]
#: Lists are refused at their first wrong member: wrong_fields.py looks for the others, in bounded time.
#: None is longer than a model's columns, or the longest history.
_Numbers = Annotated[list[Number], Field(fail_fast=True, max_length=1_024)]
_Rows = Annotated[list[_Numbers], Field(fail_fast=True, max_length=4_096)]
Row = Annotated[_Numbers | Packed, Field(union_mode="left_to_right")]
History = Annotated[_Rows | Packed | None, Field(union_mode="left_to_right")]


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MarketRow(_Read):
    """One market of a group, as it stands now."""

    id: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="names the market in the answer and in the feature cache; the model never sees it"
    )
    state: MarketState = Field(description="anything but active is answered HOLD")
    row: Row = Field(
        description="features in the order of columns: JSON numbers, or packed: base64 of little-endian "
        "float32, read several times faster"
    )
    allowed: list[ActionName] = Field(
        description="names of the actions that may be answered; HOLD always may",
        max_length=16,
        fail_fast=True,
    )
    history: History = Field(
        None,
        description="rows of the temporal group, oldest first, the present one last: JSON numbers, or packed "
        "like row, row after row; a model reads the last window of them, fewer count as the beginning of the "
        "market; not read by models without history",
    )
    bid_e4: PriceE4 | None = Field(None, description="best YES bid, for the rules")
    ask_e4: PriceE4 | None = Field(None, description="best YES ask, for the rules")
    bid_size_e2: Annotated[int, Field(ge=0, le=MAX_QTY_E2)] | None = Field(
        None, description="contracts displayed at the best YES bid, 1e-2, for the rules; null: not known"
    )
    age_ms: Annotated[int, Field(ge=0, le=_MAX_AGE_MS)] | None = Field(
        None, description="age of the book's latest change, whole ms, for the rules; null: not known"
    )
    taker_rate_e6: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        TAKER_RATE_E6, description="fee rate of a taker in this market, 1e-6, for the rules"
    )
    exclusive_set: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="name shared by the markets of which at most one can end YES, for the rules"
    )


class Group(_Read):
    """Markets that are decided together: the slots of one observation."""

    markets: list[MarketRow] = Field(
        min_length=1, fail_fast=True, description="markets to decide together, at most the model's n_slots"
    )


class DecideRequest(_Read):
    """Features of one or many groups, decided independently of each other."""

    request_id: RequestId = Field(
        description="your name for this request; the same one within a minute gets the same answer"
    )
    feature_digest: str = Field(
        max_length=64,
        description="digest of the feature table that the rows were computed by; GET /v1/model tells it",
    )
    deadline_ms: Annotated[float, Field(gt=0, le=60_000, allow_inf_nan=False)] | None = Field(
        None, description="from arrival; the best tier done by then answers"
    )
    columns: list[str] = Field(
        min_length=1,
        max_length=1_024,
        fail_fast=True,
        description="the model's market and portfolio features, each once, in any order; slow and static "
        "ones may be left out where they were sent shortly before",
    )
    groups: list[Group] = Field(
        min_length=1, fail_fast=True, description="groups of markets, each decided on its own"
    )


class GroupDecision(BaseModel):
    """Decision about a group: an action for each market, and the tier that decided."""

    actions: dict[str, ActionName] = Field(description="action by market id")
    probabilities: dict[str, dict[ActionName, float]] = Field(
        description="by market id and action, illegal actions 0; calibrated, of the tier that decided"
    )
    confidence: float = Field(description="the lowest over the markets of the highest probability")
    tier: Annotated[TierName, BeforeValidator(present_name)]
    notes: list[NoteName] = Field(
        description="cached: the answer to an equal state; deadline: no time for a higher tier; fallback: a "
        "higher tier failed"
    )
    reasons: dict[str, str] = Field(
        description="by market id, where a rule decided and no network: why, a word and a sentence"
    )


class _Marked(BaseModel):
    """Marks of the model that answers, as models/registry/marks.py finds them."""

    simulated: bool = Field(
        False, description="the model was not judged on real data, or nobody knows: cautions says more"
    )
    cautions: list[str] = Field(default=[], description="sentences that belong beside every answer")


class DecideResponse(_Marked):
    """Answer of ``/v1/decide``; groups in the order they were asked."""

    request_id: str
    model: str = Field(description="id of the model that decided")
    tier_set: str | None = Field(description="digest of its tier set; null: the model alone")
    groups: list[GroupDecision]
    timings_ms: dict[str, float] = Field(description="by stage, and total from arrival to answer")


class FeatureInfo(BaseModel):
    """One column of a request."""

    name: str
    group: str
    low: float
    high: float
    max_age_ms: int | None = Field(description="a value sent so long ago may be left out; null: never")


class ModelInfo(_Marked):
    """The model that answers, and the columns that a request to it needs."""

    model: str
    tier_set: str | None
    tiers: list[TierName]
    exits: list[TierName] = Field(
        default=[],
        description="tiers that are asked before tier 3; none: every decision asks the model itself",
    )
    forms: dict[TierName, str] = Field(description="tier -> what runs its network in this process")
    tier_3_asked: Literal["replica", "deployment", "nowhere"] = Field(
        description="who answers for tier 3: the replica that was asked, or a deployment of its own"
    )
    alias: str
    feature_digest: str
    columns: list[FeatureInfo]
    passed_gates: bool = Field(True, description="false: its alias asks for no gates")
    judged_on: str = Field("unknown", description="events and blocks by provenance, in words")
    trained_on: str = Field("unknown", description="the same of what taught it")
    dataset_digest: str = Field("", description="of the dataset that taught it; empty: not told")
    n_slots: int
    window: int = Field(description="rows of history a market; 0: none are read")
    history_columns: list[str]
    actions: list[str]
    hold: Literal["keep", "cancel"] = Field(
        "keep", description="what HOLD means for an order that rests: it stays, or the client cancels it"
    )
    sizing: Literal["full", "taper"] = Field(
        "full", description="size of a buy: whole, or smaller where a position is held (docs/serving.md)"
    )
    example: str = Field(description="what GET /v1/example shows: where it is from, or that it is made up")


class ReloadResponse(_Marked):
    """Result of looking at the registry for another model."""

    model: str = Field(description="that answers now")
    changed: bool
    found: str = Field(description="what the checks of a new model found, in words")


class RollbackRequest(_Read):
    """Reason for which an administrator goes back to the model before."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="kept in the registry")


class RollbackResponse(_Marked):
    """The model that answers again."""

    model: str


class ModelEvent(BaseModel):
    """One thing that happened to the models of a replica."""

    at_ns: int
    kind: str
    model: str
    tiers: str | None
    words: str


class ShadowFound(BaseModel):
    """Counts of how often the model in the shadow would have decided otherwise than the one that answers."""

    model: str
    offered: int = Field(description="calls it was to be asked about")
    dropped: int = Field(description="of them not asked: too many waited, or it is switched off")
    groups: int = Field(description="compared")
    slots: int = Field(description="compared: a market stands there and no rule forces it")
    differing: int = Field(description="of them decided otherwise")
    by_tier: dict[TierName, tuple[int, int]] = Field(description="tier that answered -> slots, differing")
    pairs: dict[str, int] = Field(description="'answered > shadow' -> slots, where they differ")
    failures: int
    switched_off: str = Field(description="why it is not asked any more; empty while it is")


class ModelHistory(_Marked):
    """Events of the models of the replica that answers, oldest first."""

    model: str
    events: list[ModelEvent]
    shadow: ShadowFound | None = Field(description="null: no model is in the shadow")


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(_Marked):
    """Result of asking every tier just now."""

    ready: bool
    model: str | None
    tiers: dict[TierName, str] = Field(description="tier -> ok, or what is wrong")
    reason: str | None = None


class WrongFieldBody(BaseModel):
    """One wrong field of a request."""

    field: str = Field(description="its path, with dots; empty: the whole body")
    value: str = Field(description="as sent, shortened; empty where it is missing")
    allowed: str = Field(description="what may stand there, or what to do")


class ProblemBody(BaseModel):
    """Refusal of a request, with its reason (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = Field(description="the first wrong field; null where none is")
    errors: list[WrongFieldBody] = Field([], description="every wrong field, at most the first 20")
    more_errors: int = Field(0, description="further wrong fields, as far as they were counted (to 200)")
    request_id: str


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of a request body with its definitions under ``components`` (OpenAPI)."""
    return model.model_json_schema(ref_template="#/components/schemas/{model}")
