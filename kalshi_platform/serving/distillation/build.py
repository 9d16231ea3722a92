"""Makes the tier set of a registered model: play, distil, calibrate, judge, store.

Owns       the order of these steps, the events that each step may look at, and the files of a set.
Looked at  training events teach; one half of the validation events calibrates and chooses exits, the other
           judges. Only ``report_tiers`` opens the test split, through the guard of held_out.py.
"""

import hashlib
import platform
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import torch

from kalshi_platform.data.dataset.split import Split
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.program import command_line
from kalshi_platform.domain.saying import Say, detail, passing, silent, time_words
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.evaluation.judging.held_out import open_held_out
from kalshi_platform.evaluation.promotion.evidence import JUDGED_SPLIT, judged_environment
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.export import export_weights
from kalshi_platform.models.registry.load import LoadedModel, load_model, policy_of
from kalshi_platform.models.registry.provenance import DataCounts, count_data
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import Registry, now
from kalshi_platform.models.registry.tiers import (
    FormRecord,
    TierRecord,
    TierSet,
    add_tier_set,
    newest_tier_set,
    tier_artefact,
)
from kalshi_platform.serving.distillation.cascade import Theatre
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.exits import calibrated_temperature, choose_exits, with_exits
from kalshi_platform.serving.distillation.halves import halves
from kalshi_platform.serving.distillation.judge import Made, judge, judging_states
from kalshi_platform.serving.distillation.report import REPORT_PREFIX, TierReport, stored_report
from kalshi_platform.serving.distillation.states import collect_states
from kalshi_platform.serving.distillation.students import Learning, distil, student_spec
from kalshi_platform.serving.inference.batch import TIER_NAMES, Tier
from kalshi_platform.serving.inference.export import engine_of, export_forms, time_group
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import RandomEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import numbered, origins
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.simulation.rollout.reservoir import States

_STUDENTS = (int(Tier.TIER_1), int(Tier.TIER_2))
#: Said where a set is not stored.
NOT_STORED: Final = (
    "no tier set was stored, the model is served alone: the tiers surely lose more of its return than was "
    "allowed (--set thresholds.for_fallback=true stores the set all the same, for where tier 3 is late or "
    "fails)"
)


class Built(NamedTuple):
    """The report of tiers, and the set as it was stored; None where it surely loses too much."""

    report: TierReport
    tier_set: TierSet | None


@dataclass(frozen=True)
class _Work:
    """Inputs of every step: the loaded model, its dataset and environment, the settings, the user's ear."""

    loaded: LoadedModel
    dataset_uri: str
    dataset: Dataset
    env: EnvConfig
    config: TiersConfig
    say: Say

    def bank(self, split: Split) -> Bank:
        """Open the markets of one split."""
        return open_bank(self.dataset_uri, split, self.env.groups)

    def theatre(self, bank: Bank, events: Collection[str]) -> Theatre:
        """Theatre in which the champion and the cascade play ``events``."""
        return Theatre(bank, events, self.env, self.loaded.policy, self.config.judge)


@dataclass(frozen=True)
class _Network:
    """One network with every form of it, before it has a temperature."""

    number: int
    policy: FrozenPolicy
    forms: tuple[FormRecord, ...]
    files: dict[str, bytes]
    weights: str

    def made(self, temperature: float) -> Made:
        """Put the network into the fastest form that is exact enough, with ``temperature``."""
        form = fastest(self.forms)
        engine = engine_of(form.name, self.policy, form.files, self.files.__getitem__)
        return Made(self.number, self.policy, engine, form, temperature, None)


def build_tiers(
    registry: Registry,
    model: str,
    dataset_uri: str,
    config: TiersConfig | None = None,
    say: Say = silent,
) -> Built:
    """Make, judge and store the tiers of ``model`` (an alias or an id).

    A set that surely loses too much is not stored unless ``thresholds.for_fallback`` asks for it.
    ContractError where ``dataset_uri`` is not the dataset the model was trained on, DataError where it holds
    too little to learn from or to judge by. ``say`` receives a line a step, with an estimate of the time.
    """
    started, made_at = time.perf_counter(), now()
    work = _open(registry, model, dataset_uri, config or TiersConfig(), say)
    tag = digest_of([work.loaded.record.id, made_at, work.config.digest])
    theatre, judging = _theatres(work)
    policies, learnings = _teach(work)
    networks = [_with_forms(number, policy, tag, say) for number, policy in policies.items()]
    states = judging_states(theatre, work.config.seed)
    made = [_calibrated(network, theatre, states, say) for network in networks]
    choice = choose_exits(made, theatre, states, work.config.thresholds, say)
    made = with_exits(made, choice.pair.first, choice.pair.second)
    judgement = judge(made, judging, work.config.thresholds, work.config.seed, JUDGED_SPLIT, True, say)
    report = TierReport(
        model=work.loaded.record.id,
        dataset=dataset_uri,
        dataset_digest=work.dataset.digest,
        config=work.config,
        learnings=learnings,
        calibration_events=theatre.n_events,
        calibration_blocks=theatre.n_blocks,
        calibration_states=states.n,
        choice=choice,
        forms={n.number: n.forms for n in networks},
        judgement=judgement,
        machine=machine(),
        made_at=made_at,
        program=Stamp.now(),
        wall_s=time.perf_counter() - started,
        judged_on=_counts(judging),
    )
    say(f"tiers: {report.verdict}")
    if not report.is_stored:
        say(NOT_STORED)
        return Built(report, None)
    return Built(report, _store(registry, report, made, networks, tag))


def report_tiers(
    registry: Registry,
    model: str,
    dataset_uri: str,
    *,
    final: bool = False,
    log_folder: Path | None = None,
    config: TiersConfig | None = None,
    say: Say = silent,
) -> TierReport:
    """Judge the newest tier set of ``model`` again; ``final``: on the test split instead of the judging half.

    ``config`` changes how the set is judged (default: as when it was made). An opening of the test split is
    written down in ``log_folder`` (default: the dataset's own folder) before a byte of it is read.
    ContractError where the model has no tiers, or for another dataset than the one they were made with.
    """
    started = time.perf_counter()
    tier_set = newest_tier_set(registry, registry.resolve(model))
    if tier_set is None:
        make = command_line("tiers", "build", model, "--dataset", dataset_uri, "--registry", registry.uri)
        raise ContractError(
            f"{model} has no tiers and is served alone: nobody made any, or they would have saved next to "
            f"nothing; make them: {make}"
        )
    stored = stored_report(registry, tier_set)
    work = _open(registry, tier_set.model, dataset_uri, config or stored.config, say)
    split: Split = "test" if final else JUDGED_SPLIT
    opened_before = open_held_out(
        work.dataset, split, final, _log_folder(dataset_uri, log_folder, split), _subject(work)
    )
    bank = work.bank(split)
    events = numbered(bank.markets, "event").names
    theatre = work.theatre(bank, events if final else halves(bank)[1])
    made = [_remade(registry, tier_set, record, work) for record in tier_set.tiers]
    judgement = judge(made, theatre, work.config.thresholds, work.config.seed, split, not final, say)
    return stored.replace(
        dataset=dataset_uri,
        config=work.config.model_dump(),
        judgement=judgement.model_dump(),
        opened_before=len(opened_before),
        machine=machine(),
        program=Stamp.now().model_dump(),
        wall_s=time.perf_counter() - started,
        judged_on={name: count.model_dump() for name, count in _counts(theatre).items()},
    )


def _counts(theatre: Theatre) -> DataCounts:
    """Events and blocks of a theatre by provenance."""
    return count_data(origin for origin in origins(theatre.bank.markets) if origin[1] in theatre.events)


def fastest(forms: Collection[FormRecord]) -> FormRecord:
    """Form with the least median time of those exact enough; DataError where none is."""
    accepted = [form for form in forms if form.accepted]
    if not accepted:
        raise DataError(f"none of {[form.name for form in forms]} is exact enough to be served")
    return min(accepted, key=lambda form: form.p50_ms)


def machine() -> str:
    """Machine on which latencies were measured: processor, system, Python, torch."""
    processor = platform.processor() or platform.machine()
    return f"{processor}, {platform.system()}, Python {platform.python_version()}, torch {torch.__version__}"


def _open(registry: Registry, model: str, dataset_uri: str, config: TiersConfig, say: Say) -> _Work:
    loaded = load_model(registry, model)
    dataset = Dataset.open(dataset_uri)
    record = loaded.record
    if not dataset.manifest.descends_from(record.dataset_digest):
        raise ContractError(
            f"{record.id} was trained on dataset {record.dataset_digest}, {dataset_uri} is {dataset.digest} "
            "and did not grow from it: events that judge the tiers must not have taught the model; use the "
            "dataset it was trained on"
        )
    env = judged_environment(record)
    loaded.policy.require_features(dataset.manifest.feature_digest, env.groups)
    return _Work(loaded, dataset_uri, dataset, env, config, say)


def _theatres(work: _Work) -> tuple[Theatre, Theatre]:
    """Halve the validation blocks: the theatre that tunes, and the theatre that judges."""
    bank = work.bank(JUDGED_SPLIT)
    tuning, judging = halves(bank)
    return work.theatre(bank, tuning), work.theatre(bank, judging)


def _teach(work: _Work) -> tuple[dict[int, FrozenPolicy], tuple[Learning, ...]]:
    """Teach both students on training events; returns them and the champion by tier, and how each learned."""
    config, bank = work.config, work.bank("train")
    states = _training_states(work, bank)
    apart = states.env % round(1 / config.states.held_out_share) == 0
    policies, learnings = {}, []
    for number in _STUDENTS:
        spec = student_spec(work.loaded.policy.spec, number)
        policies[number], learning = distil(
            spec, number, states.take(~apart), states.take(apart), bank.arrays, config.learn, config.seed,
            work.say,
        )  # fmt: skip
        learnings.append(learning)
    return {**policies, int(Tier.TIER_3): work.loaded.policy}, tuple(learnings)


def _training_states(work: _Work, bank: Bank) -> States:
    """Let the champion play training events, and keep states that it meets.

    An episode has 1 to S markets, drawn at random, as in training.
    """
    config, started, shown = work.config.states, time.perf_counter(), passing(work.say)
    episodes = RandomEpisodes(bank, EpisodeConfig(), CurriculumConfig(), work.config.seed)
    env = ReplayVectorEnv(bank, episodes, work.env, config.n_envs)

    def show(done: int) -> None:
        left = (time.perf_counter() - started) / done * (config.steps - done)
        shown(f"tiers: {done * config.n_envs:,} decisions played, {time_words(left)} left")

    with torch_threads(1):
        states = collect_states(
            work.loaded.policy.network, env, steps=config.steps, kept=config.kept,
            n_sampling=round(config.n_envs * config.sampled_share), discount=config.discount,
            gae_lambda=config.gae_lambda, seed=work.config.seed, say=show,
        )  # fmt: skip
    if states is None:
        raise DataError(f"{work.dataset_uri}: in no state of its training events has any slot a choice")
    detail(work.say)(f"states: {states.n:,} kept ({time.perf_counter() - started:.0f} s)")
    return states


def _with_forms(number: int, policy: FrozenPolicy, tag: str, say: Say) -> _Network:
    """Make, check and time every form of a network; returns them with the files of the set."""
    started = time.perf_counter()
    prefix = f"{TIER_NAMES[number]}-{tag}"
    forms, files = export_forms(policy, prefix)
    weights = WEIGHTS_NAME
    if number != Tier.TIER_3:  # the champion's weights lie in the model's own record
        weights = f"{prefix}.safetensors"
        files = {**files, weights: export_weights(policy)}
    best = fastest(forms)
    detail(say)(
        f"tier {number}: {len(forms)} forms, fastest {best.name} with p50 {best.p50_ms:.3f} ms, "
        f"p99 {best.p99_ms:.3f} ({time.perf_counter() - started:.0f} s)"
    )
    return _Network(number, policy, forms, files, weights)


def _calibrated(network: _Network, theatre: Theatre, states: States, say: Say) -> Made:
    """Calibrate the student's temperature.

    The champion's stays 1: students are compared with its probabilities as they are.
    """
    if network.number == Tier.TIER_3:
        return network.made(1.0)
    temperature = calibrated_temperature(network.policy, theatre, states)
    detail(say)(
        f"tier {network.number}: temperature {temperature:.3f} on {theatre.n_blocks} calibration blocks"
    )
    return network.made(temperature)


def _store(
    registry: Registry, report: TierReport, made: list[Made], networks: list[_Network], tag: str
) -> TierSet:
    files = {name: data for network in networks for name, data in network.files.items()}
    files[f"{REPORT_PREFIX}{tag}.json"] = (report.model_dump_json(indent=1) + "\n").encode()
    tiers = tuple(
        TierRecord(
            number=m.number,
            spec=m.policy.spec,
            weights=n.weights,
            temperature=m.temperature,
            exit_threshold=m.exit_threshold,
            forms=n.forms,
        )
        for m, n in zip(made, networks, strict=True)
    )
    tier_set = TierSet(
        model=report.model,
        dataset_digest=report.dataset_digest,
        tiers=tiers,
        artefacts={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        max_value_loss=report.config.thresholds.max_value_loss,
        report={
            **report.judgement.numbers,
            "least_saving_ms": report.config.thresholds.least_saving_ms,
        },
        machine=report.machine,
        created_at=report.made_at,
    )
    return add_tier_set(registry, tier_set, files)


def _remade(registry: Registry, tier_set: TierSet, record: TierRecord, work: _Work) -> Made:
    """Stored tier in the form that was fastest where it was made; this machine times it anew."""

    def read(name: str) -> bytes:
        return tier_artefact(registry, tier_set, name)

    policy = work.loaded.policy
    if record.number != int(Tier.TIER_3):
        policy = policy_of(read(record.weights), record.spec, f"tier {record.number} of {tier_set.model}")
    form = fastest(record.forms)
    engine = engine_of(form.name, policy, form.files, read)
    times = time_group(engine)
    form = form.replace(p50_ms=times.p50_ms, p99_ms=times.p99_ms)
    return Made(record.number, policy, engine, form, record.temperature, record.exit_threshold)


def _log_folder(dataset_uri: str, given: Path | None, split: Split) -> Path:
    if given is not None or split != "test":
        return given or Path()
    if "://" in dataset_uri:
        raise ContractError(
            f"{dataset_uri}: name a local folder (--out) where the opening of the test split is written down"
        )
    return Path(dataset_uri)


def _subject(work: _Work) -> Subject:
    record = work.loaded.record
    return Subject(
        checkpoint=record.id,
        dataset=work.dataset_uri,
        dataset_digest=work.dataset.digest,
        feature_digest=work.dataset.manifest.feature_digest,
        level=record.spec.level.name,
        worlds=work.dataset.manifest.worlds,
    )
