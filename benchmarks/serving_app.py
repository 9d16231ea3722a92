"""The two applications of the serving benchmarks: ours and an empty one, on one local Serve, same switches.

Model      level moderate behind tiers 1 and 2, random weights; thresholds are such that of the bodies sent
           EXITS leave at tier 1 and at tier 2, as a tier report finds them.
Empty      a FastAPI ingress that reads the same body and returns a constant as long as our answer; its stream
           answers every frame with a constant. Its log is written as ours is: the cheaper way.
Bodies     numbers packed (kalshi_platform/serving/api/packed.py), 10 kB; the empty application reads the
           same.
Rounds     ours and the empty one in turn (A B A B), so that other work of the machine meets both.
"""

import asyncio
import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from made.registry_models import DATASET, made_record
from made.serving_tiers import spec_of as made_spec

from kalshi_platform.data.features.spec import FEATURE_DIGEST, ROW_FEATURE_SETS, SPEC, TEMPORAL, features_of
from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.models.networks.levels import LEVELS, TIER_LEVELS, Level
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.export import export_weights
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import TierRecord, TierSet, add_tier_set
from kalshi_platform.serving.api.packed import packed_body
from kalshi_platform.serving.guard.guard import GuardConfig, ModelGuard
from kalshi_platform.serving.inference.batch import Batch, Tier
from kalshi_platform.serving.inference.engine_torch import TorchEngine
from kalshi_platform.serving.inference.export import export_forms
from kalshi_platform.serving.inference.tiered import ReadyTier, TieredConfig, TieredPolicy, free
from kalshi_platform.serving.loadtest.result import LoadConfig, LoadResult
from kalshi_platform.serving.loadtest.run import run_load
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.layout import Blocks, join
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.simulate import simulate

N_SLOTS, N_BODIES, EMPTY = 5, 512, "/empty"
#: Share of the groups that reach a tier and leave there.
EXITS = {1: 0.6, 2: 0.6}
ALLOWED = ("HOLD", "BUY_YES", "BUY_NO")
ENVIRONMENT = EnvConfig(n_slots=N_SLOTS, groups=tuple(ROW_FEATURE_SETS)).model_dump(mode="json")
#: The empty application's answer, about as long as ours.
CONSTANT = json.dumps({"groups": [{"tier": "none", "notes": []}], "padding": "x" * 1_000}).encode()


class Asked(NamedTuple):
    """The same groups as requests and as arrays."""

    bodies: list[dict[str, Any]]  # numbers packed
    plain: list[dict[str, Any]]  # the same in JSON numbers
    batch: Batch


class Model(NamedTuple):
    """A served model: its place in a registry, its id and its tiers."""

    registry: Path
    id: str
    policy: TieredPolicy  # the same tiers in this process


def spec_of(level: Level) -> PolicySpec:
    return made_spec(level, N_SLOTS, tuple(ROW_FEATURE_SETS))


def asked() -> Asked:
    """N_BODIES requests of one full group each, every feature between its bounds."""
    spec = spec_of(LEVELS["moderate"])
    known = {feature.name: feature for feature in SPEC}
    columns = [known[name] for name in (*spec.market, *spec.portfolio)]
    temporal = features_of(["temporal"])[: len(TEMPORAL)]
    rng, window = np.random.default_rng(0), spec.level.window

    def drawn(features: list[Any], shape: tuple[int, ...]) -> np.ndarray:
        low, high = np.array([f.low for f in features]), np.array([f.high for f in features])
        return np.round(rng.uniform(low, high, (*shape, len(features))), 4)

    rows, histories = drawn(columns, (N_BODIES, N_SLOTS)), drawn(temporal, (N_BODIES, N_SLOTS, window))
    bodies = [
        {
            "request_id": f"bench-{n}",
            "feature_digest": FEATURE_DIGEST,
            "columns": [f.name for f in columns],
            "groups": [
                {
                    "markets": [
                        {"id": f"M{s}", "state": "active", "row": rows[n, s].tolist(), "allowed": ALLOWED,
                         "history": histories[n, s].tolist()}
                        for s in range(N_SLOTS)
                    ]
                }
            ],
        }
        for n in range(N_BODIES)
    ]  # fmt: skip
    slots, mask = np.ones((N_BODIES, N_SLOTS)), np.zeros((N_BODIES, N_SLOTS, N_ACTIONS))
    mask[..., [HOLD, 1, 3]] = 1
    n_market = len(spec.market)
    flat = join(Blocks(rows[..., :n_market], rows[..., n_market:], slots, mask)).astype(np.float32)
    return Asked(
        [packed_body(body) for body in bodies],
        bodies,
        Batch(flat, histories.astype(np.float32), free(N_BODIES, N_SLOTS)),
    )


def made_model(folder: Path, batch: Batch) -> Model:
    """Make a registered model with its tier set; its exits are chosen on ``batch``."""
    registry = Registry(folder)
    levels = {1: TIER_LEVELS[1], 2: TIER_LEVELS[2], 3: LEVELS["moderate"]}
    policies = {k: FrozenPolicy(build_network(spec_of(level), k).eval()) for k, level in levels.items()}
    record = registered(registry, policies[3])
    thresholds = chosen_exits(policies, batch)
    files, tiers = {}, []
    for number, policy in policies.items():
        forms, own = export_forms(policy, f"tier{number}")
        name = WEIGHTS_NAME if number == 3 else f"tier{number}.safetensors"
        files |= own | ({} if number == 3 else {name: export_weights(policy)})
        tiers.append(
            TierRecord(number=number, spec=policy.spec, weights=name, temperature=1.0,
                       exit_threshold=thresholds[number], forms=forms)
        )  # fmt: skip
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    tier_set = TierSet(
        model=record, dataset_digest=DATASET, tiers=tuple(tiers), artefacts=sums, max_value_loss=0.01,
        machine="here", created_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    add_tier_set(registry, tier_set, files)
    return Model(folder, record, in_process(policies, thresholds))


def registered(registry: Registry, policy: FrozenPolicy) -> str:
    """Register ``policy`` as a model that passed every gate; returns its id."""
    record = registry.add(*made_record(policy, ENVIRONMENT))
    registry.promote(CHAMPION, record.id, reason="the benchmark's")
    return record.id


def in_process(policies: dict[int, FrozenPolicy], thresholds: dict[int, float | None]) -> TieredPolicy:
    tiers = tuple(
        ReadyTier(number, TorchEngine(policy.network), 1.0, thresholds[number])
        for number, policy in policies.items()
    )
    return TieredPolicy(policies[3].spec, tiers, TieredConfig(inference_ttl_ms=0))


def chosen_exits(policies: dict[int, FrozenPolicy], batch: Batch) -> dict[int, float | None]:
    """Thresholds at which EXITS of the groups that reach a tier leave it."""
    plain = in_process(policies, dict.fromkeys(policies))
    left, found = np.arange(batch.n), dict[int, float | None]()
    for number, share in EXITS.items():
        confidence = plain.ask(number, batch.take(left), 0).confidence
        found[number] = float(np.quantile(confidence, 1 - share))
        left = left[confidence < found[number]]
    return found | {int(Tier.TIER_3): None}


def capture(folder: Path) -> Path:
    """Write a capture of one simulated event of five markets; returns its path."""
    config = SimConfig(n_events=1, single_share=0.0, gap_share=0.0, messages_per_market=400)
    return simulate(config, folder / "recording", file_format="capture").events


def warm_up() -> None:
    """Do what a replica does before it is ready, so that every kernel lies in the cache on disk."""
    from kalshi_platform.serving.server.args import PolicyAppArgs
    from kalshi_platform.serving.server.gate import AccessArgs
    from kalshi_platform.serving.server.warming import rehearse

    with tempfile.TemporaryDirectory() as folder:
        capture(Path(folder))
        model = made_model(Path(folder) / "registry", asked().batch)
        guard = ModelGuard(Registry(model.registry), GuardConfig(alias=CHAMPION))
        try:
            args = PolicyAppArgs(registry=str(model.registry), access=AccessArgs(require_token=False))
            asyncio.run(rehearse(args, guard.start()))
        finally:
            guard.close()


@contextmanager
def both_running(model: Model, limits: dict[str, Any] | None = None) -> Iterator[str]:
    """Serve our application at / and the empty one at EMPTY; yields the address of both.

    ``limits`` of one client differ from the defaults where a benchmark's single client stands for many.
    """
    from serve_deployments.local import free_port, switches

    os.environ.update(switches("127.0.0.1", ha_proxy=True))
    import ray
    from empty_app import build_empty
    from ray import serve

    from kalshi_platform.serving.server.args import LimitArgs, PolicyAppArgs
    from kalshi_platform.serving.server.gate import AccessArgs
    from serve_deployments.app import build
    from serve_deployments.local import readiness

    port = free_port("127.0.0.1")
    args = PolicyAppArgs(
        registry=str(model.registry), access=AccessArgs(require_token=False),
        replica_cpus=0, tier_3_cpus=0, limits=LimitArgs.parse(limits or {}),
    )  # fmt: skip
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, configure_logging=False,
        object_store_memory=256 * 2**20,
    )  # fmt: skip
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(build_empty(CONSTANT), name="empty", route_prefix=EMPTY)
        serve.run(build(args), name="policy", route_prefix="/")
        url = f"http://127.0.0.1:{port}"
        state = readiness(url)
        assert state.get("ready"), state
        yield url
    finally:
        serve.shutdown()
        ray.shutdown()


def in_turn(config: LoadConfig, rounds: int) -> tuple[list[LoadResult], list[LoadResult]]:
    """Results (ours, of the empty application), one a round; every round has arrivals of its own."""
    ours, empty = [], []
    for k in range(rounds):
        for found, url in ((ours, config.url), (empty, config.url + EMPTY)):
            result = run_load(config.replace(url=url, seed=k))
            if not result.is_trusted:
                print(f"round {k} of {url}: {result.problem}", file=sys.stderr)
            assert result.answered == result.intended, f"{url}: {result.errors}"
            found.append(result)
    return ours, empty


def median_ms(results: list[LoadResult], field: str) -> float:
    """Median over the rounds of one percentile."""
    return statistics.median(getattr(result.latency, field) for result in results)


def line(
    bench: str, ours: list[LoadResult], empty: list[LoadResult], field: str, peer: str
) -> dict[str, Any]:
    """Result line: milliseconds of ours and of the peer, and the peer's over ours."""
    mine, theirs = median_ms(ours, field), median_ms(empty, field)
    return {
        "bench": bench,
        "value": round(mine, 3),
        "unit": f"ms, {field.removesuffix('_ms')}, median of {len(ours)} rounds",
        "peer": peer,
        "peer_value": round(theirs, 3),
        "ratio": round(theirs / mine, 3),
        "requests": sum(result.answered for result in ours),
        "rounds_ms": [round(getattr(r.latency, field), 3) for r in ours],
        "peer_rounds_ms": [round(getattr(r.latency, field), 3) for r in empty],
        "late_share": max(result.late_share for result in (*ours, *empty)),
    }


def tier_shares(results: list[LoadResult]) -> dict[str, float]:
    """Share of the answers that each tier decided."""
    counts: dict[str, float] = {}
    for result in results:
        for tier in result.tiers:
            counts[tier.tier] = counts.get(tier.tier, 0.0) + tier.share * result.answered
    total = sum(result.answered for result in results)
    return {name: round(n / total, 3) for name, n in sorted(counts.items())}


def stages_ms(results: list[LoadResult]) -> dict[str, float]:
    """Median over the rounds of the p50 of each stage, as the server tells it."""
    names = sorted({name for result in results for name in result.stages})
    return {
        name: round(statistics.median(r.stages[name].p50_ms for r in results if name in r.stages), 3)
        for name in names
    }


def write_bodies(folder: Path, bodies: list[dict[str, Any]], name: str = "bodies") -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    return path
