"""``kalshi-platform models``: register runs, promote models through the gates, roll back, look around.

With ``--json`` stdout carries one JSON value only; progress and refusals go to stderr.
"""

import sys
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import (
    DATASET_HELP,
    DatasetOption,
    JsonOption,
    RegistryOption,
    RunOption,
    VerboseOption,
    parse_assignments,
)
from kalshi_platform.cli.registries import registry_to_change, registry_to_read, registry_words
from kalshi_platform.domain.errors import LimitError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.program import command_line
from kalshi_platform.domain.worlds import world_words
from kalshi_platform.evaluation.judging.worth import claims_figures, worth
from kalshi_platform.evaluation.pages.terminal import output, tell
from kalshi_platform.evaluation.promotion.gates import GateConfig
from kalshi_platform.evaluation.promotion.promote import promote_model
from kalshi_platform.evaluation.promotion.registration import register_run
from kalshi_platform.models.registry.aliases import AliasEntry, AliasLog
from kalshi_platform.models.registry.evidence import Estimate, GateJudgement, Performance
from kalshi_platform.models.registry.flaws import FITNESS_WORDS, Fitness
from kalshi_platform.models.registry.marks import UNMARKED, Marks, all_marks, marks_at
from kalshi_platform.models.registry.provenance import (
    SIMULATED,
    DataCounts,
    blocks_by_provenance,
    counts_words,
)
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry

app = CommandApp(help="Register, promote, roll back and list models.", no_args_is_help=True)

_REASON = Annotated[str, typer.Option(help="why, in words; kept in the log")]
_NONE: Final = "-"


@app.command("list")
def list_models(registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """List every registered model, oldest first, with its aliases and its claims."""
    store = registry_to_read(registry)
    records, log = store.models(), store.aliases()
    current, marks = log.current, {r.id: all_marks(r, log) for r in records}
    names = {r.id: [alias for alias, model in current.items() if model == r.id] for r in records}
    if as_json:
        _print_json(
            [{**r.model_dump(mode="json"), "aliases": names[r.id], **marks[r.id].fields} for r in records]
        )
        return
    if not records:
        typer.echo(store.when_empty())
        return
    count = "1 model" if len(records) == 1 else f"{len(records)} models"
    table = Table(title=f"{count} in {store.uri}")
    for column in (
        "model",
        "aliases",
        "judged on",
        "checkup",
        "claimed return, % of capital",
        "p99 of a decision",
        "dataset",
        "commit",
        "registered",
    ):
        table.add_column(column, overflow="fold")
    for r in records:
        claimed = r.claims.performance if r.claims else None
        table.add_row(
            r.id,
            ", ".join(names[r.id]) or _NONE,
            _standing(marks[r.id]),
            _checkup(r),
            _estimate(claimed.mean_return) if claimed else _NONE,
            f"{claimed.latency.p99_ms:.2f} ms" if claimed else _NONE,
            r.dataset_digest,
            r.commit or "unknown",
            r.created_at[:19],
        )
    output().print(table)


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="an alias or an id")],
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the whole record of one model."""
    store = registry_to_read(registry)
    record, log = store.record(store.resolve(model)), store.aliases()
    marks = all_marks(record, log)
    if as_json:
        _print_json({**record.model_dump(mode="json"), **marks.fields})
        return
    _print_record(record, [a for a, m in log.current.items() if m == record.id], marks)


@app.command()
def register(
    run: RunOption,
    dataset: DatasetOption,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Register a trained policy with its results on the validation events.

    --dataset is the one that the run was trained on; it may have grown. Registering twice gives one model.
    """
    record = register_run(Registry(registry), run, dataset, say=tell)
    tell(f"registered {record.id}")
    marks = all_marks(record, AliasLog())
    if as_json:
        _print_json({**record.model_dump(mode="json"), **marks.fields})
        return
    _print_record(record, [], marks)
    where = ("--dataset", dataset, *registry_words(registry))
    typer.echo(f"next: {command_line('models', 'promote', record.id, *where)}")
    tried = ("--alias", CHALLENGER, *registry_words(registry))
    typer.echo(f"or, without the gates: {command_line('models', 'promote', record.id, *tried)}")


@app.command()
def promote(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="an alias or an id")],
    dataset: Annotated[str | None, typer.Option(help=DATASET_HELP)] = None,
    alias: Annotated[
        str, typer.Option(help="alias to assign; no gates are checked for challenger")
    ] = CHAMPION,
    reason: _REASON = "",
    gates: Annotated[
        list[str] | None,
        typer.Option(
            "--gate", help="override a gate threshold, e.g. max_drawdown=0.2; recorded with the result"
        ),
    ] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Judge a model from its own files and make it champion. Exit 4, with the reasons, if a gate refuses.

    --dataset is the one that the model was trained on; it may have grown. --alias challenger needs none.
    """
    if alias == CHALLENGER:
        refuse_beside(
            context, f"beside --alias {CHALLENGER}", "no gates are checked for it", "dataset", "gates"
        )
    with option_words():
        config = GateConfig().replace(**parse_assignments(gates or [], "--gate"))
    with registry_to_change(registry, model) as store:
        found = promote_model(store, model, dataset, alias=alias, reason=reason, gates=config, say=tell)
    entry = found.entry
    tell(f"judged {model}" if found.judgement else f"loaded {model}")
    if as_json:
        values = {
            "promoted": entry is not None,
            "entry": entry.model_dump(mode="json") if entry else None,
            "judgement": found.judgement.model_dump(mode="json") if found.judgement else None,
        }
        _print_json(values)
    elif found.judgement:
        _print_judgement(found.judgement)
    if entry is None and found.judgement is not None:
        reasons = "\n".join(f"  - {words}" for words in found.judgement.refusals)
        raise LimitError(
            f"{found.judgement.evidence.model} does not become {alias}; nothing was changed:\n{reasons}"
        )
    if entry is not None and not as_json:
        typer.echo(_sentence(entry))
        if flawed := FITNESS_WORDS.get(store.record(entry.model).fitness):
            typer.secho(f"{entry.model}: {flawed}, and every answer of it says so", err=True, fg="yellow")
        typer.echo(f"serve it: {command_line('serve', '--model', alias, *registry_words(registry))}")


@app.command()
def rollback(
    alias: Annotated[str, typer.Option(help="the alias to set back")] = CHAMPION,
    reason: _REASON = "rolled back",
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an alias back to the model that had it before. Repeat to go one further back."""
    with registry_to_change(registry, alias) as store:
        entry = store.rollback(alias, reason=reason)
    if as_json:
        _print_json(entry.model_dump(mode="json"))
        return
    typer.echo(_sentence(entry))


@app.command()
def history(
    alias: Annotated[str | None, typer.Option(help="only this alias")] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every change of the aliases, oldest first."""
    store = registry_to_read(registry)
    log = store.aliases()
    entries = [e for e in log.entries if alias in (None, e.alias)]
    marks = [_marks_at(store, log, e) for e in entries]
    if as_json:
        _print_json([{**e.model_dump(mode="json"), **m.fields} for e, m in zip(entries, marks, strict=True)])
        return
    if not log.entries and store.is_empty:
        typer.echo(store.when_empty())
        return
    table = Table(title=f"{len(entries)} changes in {store.uri}")
    for column in ("#", "at", "alias", "change", "model", "judged on", "before", "by", "evidence", "reason"):
        table.add_column(column, overflow="fold")
    for e, m in zip(entries, marks, strict=True):
        table.add_row(
            str(e.number), e.at[:19], e.alias, e.kind, e.model, _standing(m), e.previous or _NONE, e.by,
            e.evidence or _NONE, e.reason,
        )  # fmt: skip
    output().print(table)


def _marks_at(store: Registry, log: AliasLog, entry: AliasEntry) -> Marks:
    """Marks of the model of ``entry`` at that time; unknown where the registry holds the model no longer."""
    if not store.holds(entry.model):
        return UNMARKED
    return marks_at(store.record(entry.model), log, entry)


def _standing(marks: Marks) -> str:
    """Standing for a list: simulated, real, or simulated with a question mark where nobody counted."""
    return "simulated?" if marks.standing == "unknown" else marks.standing


def _checkup(record: ModelRecord) -> str:
    """Result of the checkup for a list: does not trade, the rules that found an error, or no error."""
    if record.fitness is Fitness.IDLE:
        return "does not trade"
    if record.fitness is Fitness.UNKNOWN:
        return "unknown"
    return ", ".join(dict.fromkeys(flaw.rule for flaw in record.flaws)) or "no error"


def _worth(found: Performance, judged_on: DataCounts | None, worlds: tuple[str, ...]) -> str:
    """First line on a model: what its figures are worth."""
    return worth(claims_figures(found, blocks_by_provenance(judged_on), worlds))


def _print_record(record: ModelRecord, aliases: list[str], marks: Marks) -> None:
    if record.claims:
        first = _worth(record.claims.performance, record.judged_on, record.worlds)
        output().print(first, style="bold", markup=False, highlight=False)
    rows: dict[str, Any] = {
        "aliases": ", ".join(aliases) or _NONE,
        "marks": "; ".join(marks.cautions) or "none",
        "checkup": "\n".join(flaw.words for flaw in record.flaws) or _checkup(record),
        "trained on data": counts_words(record.trained_on),
        "simulated world": "\n".join(map(world_words, record.worlds)) or _NONE,
        "judged on data": marks.judged_on,
        "level": record.spec.level.name,
        "slots": record.spec.n_slots,
        "feature sets": ", ".join(record.spec.groups),
        "dataset": f"{record.dataset_digest} ({record.dataset})",
        "judged on": record.claims.dataset_digest if record.claims else _NONE,
        "commit": record.commit or "unknown",
        "run": record.source_run,
        "registered": record.created_at,
    }
    rows |= {f"{name} digest": value for name, value in record.digests.model_dump().items()}
    rows |= {name: f"sha256 {value[:12]}..." for name, value in record.artefacts.items()}
    if record.claims:
        p = record.claims.performance
        rows |= {
            "claims: return a block": _estimate(p.mean_return),
            **{f"claims: better than {name} by": _estimate(e) for name, e in p.baselines.items()},
            "claims: worst drawdown": f"{p.worst_drawdown:.1%}",
            "claims: latency": f"p50 {p.latency.p50_ms:.2f} ms, p99 {p.latency.p99_ms:.2f} ms",
        }
    table = Table(title=record.id, show_header=False)
    for name, value in rows.items():
        table.add_row(name, str(value))
    output().print(table)


def _print_judgement(judgement: GateJudgement) -> None:
    evidence = judgement.evidence
    if evidence.found:
        output().print(
            _worth(evidence.found, evidence.judged_on, evidence.worlds),
            style="bold",
            markup=False,
            highlight=False,
        )
    table = Table(title=f"{evidence.model} on the {evidence.split} events of {evidence.dataset}")
    for column in ("gate", "", "found", "allowed"):
        table.add_column(column, overflow="fold")
    for r in judgement.results:
        mark = "[green]passed[/]" if r.passed else "[red]refused[/]"
        table.add_row(r.name, mark, r.found, r.allowed)
    output().print(table)


def _sentence(entry: AliasEntry) -> str:
    before = f" instead of {entry.previous}" if entry.previous else ""
    mark = ", marked simulated" if entry.standing == SIMULATED else ""
    return f"{entry.alias} is {entry.model}{mark}{before} (entry {entry.number}: {entry.reason})"


def _estimate(e: Estimate) -> str:
    value = "unknown" if e.value is None else f"{e.value:+.2%}"
    return value if e.low is None or e.high is None else f"{value} [{e.low:+.2%}, {e.high:+.2%}]"


def _print_json(value: Any) -> None:
    sys.stdout.write(json_text(value) + "\n")
