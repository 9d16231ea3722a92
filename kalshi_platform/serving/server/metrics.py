"""Table of a replica's metrics.

Owns       METRICS, the one table that the exporter, the dashboard, the alerts and the docs are checked by.
Units      in the name: ``_seconds``, ``_total`` (a count that only grows).
Invariant  names are ``kalshi_serve_*``; labels have few values and are never a market, a client or a token.
Not        counting (observability.py).
"""

from typing import Final, Literal, NamedTuple

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.serving.inference.batch import NOTE_NAMES, TIER_NAMES

#: Bounds of latencies, s: 50 us to 5 s. 0.075 is the alert's, 0.050 the promise's.
LATENCY_S: Final = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.25, 1.0, 5.0,
)  # fmt: skip
#: Bounds of ages, s: 10 ms to an hour. 900 is the alert's.
AGE_S: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0)
#: Groups a request.
SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


ACTION_LABELS: Final = {number: name.lower() for number, name in enumerate(ACTION_NAMES)}


class Metric(NamedTuple):
    """One metric: a line of the table METRICS."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str  # what it says, for the docs and the exporter
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()  # upper bounds of a histogram's buckets, ascending
    values: tuple[str, ...] = ()  # all that the last label can be; empty = anything


REQUESTS: Final = Metric(
    "kalshi_serve_requests_total", "counter",
    "Requests by how they ended: decided, refused (4xx) or failed (5xx).", ("outcome",), (),
    ("decided", "refused", "failed"),
)  # fmt: skip
REFUSALS: Final = Metric(
    "kalshi_serve_refusals_total", "counter",
    "Refused requests by the kind their problem details name; texts refused within streams and streams that "
    "the server ended (stream-...).", ("kind",),
)  # fmt: skip
DECISIONS: Final = Metric(
    "kalshi_serve_decisions_total", "counter",
    "Groups decided, by the tier that decided; its share of all is the tier's exit share.", ("tier",), (),
    tuple(TIER_NAMES.values()),
)  # fmt: skip
ACTIONS_TAKEN: Final = Metric(
    "kalshi_serve_actions_total", "counter", "Slots with a market, by tier and action.",
    ("tier", "action"), (), tuple(ACTION_LABELS.values()),
)  # fmt: skip
NOTES: Final = Metric(
    "kalshi_serve_notes_total", "counter",
    "Groups answered from the cache (cached), by a lower tier for lack of time (deadline), or because a "
    "tier failed (fallback).", ("note",), (), tuple(NOTE_NAMES.values()),
)  # fmt: skip
CACHE_LOOKS: Final = Metric(
    "kalshi_serve_cache_looks_total", "counter",
    "Looks into a cache: hit, miss (never there, or evicted), expired (there, and too old).",
    ("cache", "result"), (), ("hit", "miss", "expired"),
)  # fmt: skip
REQUEST_SECONDS: Final = Metric(
    "kalshi_serve_request_seconds", "histogram",
    "From a request's arrival in the replica to its answer.", (), LATENCY_S,
)  # fmt: skip
WAIT_SECONDS: Final = Metric(
    "kalshi_serve_wait_seconds", "histogram",
    "How long anything waits for the replica's event loop before its handler runs; looked at ten times a "
    "second, with or without requests.", (), LATENCY_S,
)  # fmt: skip
STAGE_SECONDS: Final = Metric(
    "kalshi_serve_stage_seconds", "histogram",
    "Time in one stage: parse, read, cache, rules, tier_1, tier_2, tier_3 (its hop included), decide.",
    ("stage",), LATENCY_S,
)  # fmt: skip
GROUPS: Final = Metric("kalshi_serve_request_groups", "histogram", "Groups a request asks about.", (), SIZES)
EVENT_SECONDS: Final = Metric(
    "kalshi_serve_event_to_decision_seconds", "histogram",
    "Streams: from a frame's arrival in the replica to its decision.", (), LATENCY_S,
)  # fmt: skip
FEATURE_AGE_SECONDS: Final = Metric(
    "kalshi_serve_feature_age_seconds", "histogram",
    "How old the oldest row was that a stream's decision was made on, or the oldest value that stood in for "
    "one left out of a request.", (), AGE_S,
)  # fmt: skip
SESSIONS: Final = Metric("kalshi_serve_stream_sessions", "gauge", "Streams that are open now.")
FRAMES: Final = Metric(
    "kalshi_serve_stream_frames_total", "counter", "Texts taken in by streams, refused ones too."
)
FRAME_WAITS: Final = Metric(
    "kalshi_serve_stream_frame_waits_total",
    "counter",
    "Frames that waited because their client sent more than it may.",
)
RESUMES: Final = Metric(
    "kalshi_serve_stream_resumes_total",
    "counter",
    "Streams taken up again from their last acknowledged frame.",
)
SHADOW: Final = Metric(
    "kalshi_serve_shadow_slots_total", "counter",
    "Slots that the challenger decided beside the champion: same action (agree) or another (disagree).",
    ("result",), (), ("agree", "disagree"),
)  # fmt: skip
RELOADS: Final = Metric(
    "kalshi_serve_reloads_total", "counter",
    "Changes of the served model: accepted, refused (a candidate failed its checks), rolled_back (by hand or "
    "by itself), failed (the registry could not be read). Challenger: shadow_refused (its model cannot "
    "decide), shadow_ended (no model decides beside the served one any more, or yet).", ("result",), (),
    ("accepted", "refused", "rolled_back", "failed", "shadow_refused", "shadow_ended"),
)  # fmt: skip
MODEL: Final = Metric(
    "kalshi_serve_model_info", "gauge", "1 for the model that answers now, 0 for those before it.",
    ("model", "tier_set"),
)  # fmt: skip
READY: Final = Metric(
    "kalshi_serve_ready", "gauge",
    "1 where the replica could decide at its last probe, every tier in it answering, else 0.",
)  # fmt: skip
TIER_3_PAUSED: Final = Metric(
    "kalshi_serve_tier_3_paused", "gauge",
    "1 while tier 3 is asked only now and then, because its last answers failed or came too late, else 0.",
)  # fmt: skip

METRICS: Final = (
    REQUESTS, REFUSALS, DECISIONS, ACTIONS_TAKEN, NOTES, CACHE_LOOKS, REQUEST_SECONDS, WAIT_SECONDS,
    STAGE_SECONDS, GROUPS, EVENT_SECONDS, FEATURE_AGE_SECONDS, SESSIONS, FRAMES, FRAME_WAITS, RESUMES, SHADOW,
    RELOADS, MODEL, READY, TIER_3_PAUSED,
)  # fmt: skip


def keys_at_zero() -> list[tuple[Metric, tuple[str, ...]]]:
    """Counters with the values of their labels, of those whose values are all known before they count.

    A replica shows these at 0 when it starts. Else a series begins with its first burst, and ``increase``,
    which compares samples, sees nothing of that burst.
    """
    counters = [metric for metric in METRICS if metric.kind == "counter"]
    plain = [(metric, ()) for metric in counters if not metric.labels]
    one = [(metric, (value,)) for metric in counters if len(metric.labels) == 1 for value in metric.values]
    return [*plain, *one]
