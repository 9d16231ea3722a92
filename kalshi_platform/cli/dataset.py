"""``kalshi-platform dataset``: convert files, build, inspect and verify datasets.

Tables go to stdout, progress to stderr; with ``--json`` stdout carries one JSON object only.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kalshi_platform.cli.after_build import next_lines
from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.convert import convert
from kalshi_platform.cli.options import DATASET_HELP, INPUT_HELP, JsonOption, UseYesPrice, VerboseOption
from kalshi_platform.data.dataset.blocks import PARTS, duration_words
from kalshi_platform.data.dataset.build import BuildConfig, BuildProgress, build_dataset
from kalshi_platform.data.dataset.certified import coverage_lines
from kalshi_platform.data.dataset.factors import read_factors
from kalshi_platform.data.dataset.grow import add_to_dataset
from kalshi_platform.data.dataset.inspect import (
    DatasetSummary,
    PartSummary,
    SplitSummary,
    StratumSummary,
    books_ended,
    find_problems,
    summarise,
)
from kalshi_platform.data.dataset.manifest import JoinedFiles, playable_words
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.saying import Countdown
from kalshi_platform.domain.units import NS_PER_MS, moment_words, parse_duration, parse_moment
from kalshi_platform.domain.worlds import world_words
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.simulation.replay.cache import GB, banks, cache_folder, empty_cache, limit_bytes
from kalshi_platform.simulation.replay.on_demand import open_banks
from kalshi_platform.trading.recorder.status import certified_runs

app = CommandApp(no_args_is_help=True, help="Build, inspect and verify datasets; their cache.")
_convert = app.command("convert")(convert)

Uri = Annotated[str, typer.Argument(help=DATASET_HELP, show_default=False)]

_DEFAULT_SPLIT = SplitConfig()
#: Problems and skipped files shown before the rest is only counted.
_SHOWN = 20
_REASON_CHARS = 200
#: Events of a stratum that are named before the rest is only counted.
_NAMED = 5


@app.command()
def build(
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help=INPUT_HELP, show_default=False),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="new dataset: a folder or s3://bucket/prefix", show_default=False)
    ] = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(
            "--add",
            help="recorded or metadata file or folder that joins the dataset --to; repeat for more",
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="dataset that grows; its events keep their splits for ever")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="parallel processes; 0 or 1 runs in this process  [default: chosen by size]"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="replace the different dataset already in --out")] = False,
    split_salt: Annotated[
        str | None,
        typer.Option(
            help=f"text that seeds the assignment of events to splits  [default: {_DEFAULT_SPLIT.salt}]"
        ),
    ] = None,
    factors: Annotated[
        Path | None,
        typer.Option(
            help="CSV or JSON file, prefix of ticker, event or series -> factor: what moves events together"
            "  [default: the exchange's category, else the series]"
        ),
    ] = None,
    block: Annotated[
        str | None,
        typer.Option(
            help="shortest block of recorded data, such as 1d  [default: the longest life of an event]"
        ),
    ] = None,
    time_cut: Annotated[
        str | None,
        typer.Option(
            help="train ends here, the rest begins after it: a day or RFC 3339  [default: by shares]"
        ),
    ] = None,
    embargo: Annotated[
        str | None,
        typer.Option(
            help="shortest time between train, validation and test, such as 2d  [default: the longest life "
            "of an event]"
        ),
    ] = None,
    use_yes_price: UseYesPrice = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Import recordings, compute features and write a dataset. Repeat the command to resume after a kill.

    --input and --out make a dataset, --add and --to let one grow: new events join the splits, events that are
    there keep theirs, and models trained before stay judgeable. A repeated --add finds nothing new.
    """
    if add or to is not None:
        _refuse_beside_add({
            "--input": inputs, "--out": out, "--overwrite": overwrite, "--split-salt": split_salt,
            "--factors": factors, "--block": block, "--time-cut": time_cut, "--embargo": embargo,
        })  # fmt: skip
        if not add or to is None:
            raise ContractError("--add FILE and --to DATASET go together: give both")
        _add(add, to, workers, use_yes_price, as_json)
        return
    if not inputs or out is None:
        raise ContractError("give --input FILE and --out DATASET, or --add FILE and --to DATASET")
    config = BuildConfig(
        split=_split_config(split_salt, factors, block, time_cut, embargo),
        workers=workers,
        overwrite=overwrite,
        use_yes_price=use_yes_price,
        certified=tuple(certified_runs(inputs)),
    )
    skipped: dict[str, str] = {}
    show = Countdown(tell, "building")
    build_dataset(inputs, out, config, lambda p: show(p.rows_done, p.rows, _jobs_text(p)), skipped.update)
    summary = summarise(Dataset.open(out))
    tell(f"built {out}")
    if as_json:
        _print_json({**summary.model_dump(mode="json"), "skipped": skipped})
        return
    _print_summary(summary, as_json)
    _print_skipped(skipped)
    for line in next_lines(summary, out):
        typer.echo(line)


def _split_config(
    salt: str | None, factors: Path | None, block: str | None, time_cut: str | None, embargo: str | None
) -> SplitConfig:
    """Settings of the division from the options of the command."""
    return SplitConfig(
        salt=_DEFAULT_SPLIT.salt if salt is None else salt,
        factors=() if factors is None else read_factors(factors),
        block_ns=0 if block is None else parse_duration(block, "--block"),
        time_cut_ns=None if time_cut is None else parse_moment(time_cut, "--time-cut"),
        embargo_ns=0 if embargo is None else parse_duration(embargo, "--embargo"),
    )


def _refuse_beside_add(options: dict[str, object]) -> None:
    """Refuse options of a new dataset where one grows."""
    if given := [name for name, value in options.items() if value]:
        raise ContractError(
            f"{', '.join(given)} beside --add: a dataset that grows keeps its splits and its place; leave "
            f"{'it' if len(given) == 1 else 'them'} out"
        )


def _add(
    inputs: list[Path], uri: str, workers: int | None, use_yes_price: bool | None, as_json: bool
) -> None:
    skipped: dict[str, str] = {}
    show = Countdown(tell, "adding")
    found = add_to_dataset(
        inputs,
        uri,
        workers=workers,
        progress=lambda p: show(p.rows_done, p.rows, _jobs_text(p)),
        skipped=skipped.update,
        use_yes_price=use_yes_price,
        certified=tuple(certified_runs(inputs)),
    )
    tell(f"added to {uri}")
    summary = summarise(Dataset.open(uri))
    joined = {part: sum(p == part for p in found.joined.values()) for part in PARTS}
    if as_json:
        news = {
            "is_new": found.is_new,
            "joined": joined,
            "left_out": sum(s is None for s in found.joined.values()),
            "grown": len(found.grown),
            "outcomes": len(found.outcomes),
            "already": list(found.already),
        }
        _print_json(summary.model_dump(mode="json") | {"added": news, "skipped": skipped})
        return
    _print_summary(summary, as_json=False)
    _print_skipped(skipped)
    if found.already:
        typer.echo(f"already there: {', '.join(found.already)}")
    if not found.is_new:
        typer.echo(f"nothing new: {uri} stays {summary.dataset_digest}")
        return
    typer.echo(
        f"{summary.parents[-1]} grew to {summary.dataset_digest}: {len(found.joined):,} new events "
        f"({', '.join(f'{name} {n:,}' for name, n in joined.items())}, in no split "
        f"{sum(part is None for part in found.joined.values()):,}), {len(found.grown):,} events grew, "
        f"{len(found.outcomes):,} outcomes became known"
    )


@app.command()
def info(uri: Uri, as_json: JsonOption = False) -> None:
    """Show what a dataset holds: markets, events, gaps, splits, provenance, time span."""
    _print_summary(summarise(Dataset.open(uri)), as_json)


@app.command()
def verify(uri: Uri, as_json: JsonOption = False, verbose: VerboseOption = False) -> None:
    """Read every byte again and compare it with the manifest. Exit code 3 names the files that differ."""
    dataset = Dataset.open(uri)
    show = Countdown(tell, "verifying")
    problems = find_problems(dataset, lambda done, total: show(done, total, "shards"))
    tell(f"read every byte of {dataset.uri}")
    ended = books_ended(dataset.manifest.counters)
    if as_json:
        found = {"ok": not problems, "problems": problems, "books_ended": ended}
        _print_json({"uri": dataset.uri, "digest": dataset.digest, **found})
    if problems:
        rest = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        lines = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        raise DataError(f"{dataset.uri}: {len(problems)} problems:{lines}{rest}")
    if not as_json:
        typer.echo(f"{dataset.uri}: {len(dataset.manifest.shards)} shards are as the manifest says")
        for cause, n in ended.items():
            typer.echo(f"books ended because of {cause}: {n:,}")


@app.command()
def cache(
    empty: Annotated[bool, typer.Option("--empty", help="delete the banks that no process uses")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the banks cached here, the least recently used first. --empty deletes those not in use."""
    done = empty_cache() if empty else None
    held, limit, on_demand = banks(), limit_bytes(), open_banks()
    if as_json:
        _print_json(
            {
                "folder": str(cache_folder()),
                "limit_bytes": limit,
                "banks": [bank._asdict() for bank in held],
                "open_on_demand": on_demand,
                "emptied": done and done._asdict(),
            }
        )
        return
    if done is not None:
        typer.echo(done.line())
    total_gb = sum(bank.n_bytes for bank in held) / GB
    typer.echo(f"{cache_folder()}: {len(held)} banks, {total_gb:.3f} of {limit / GB:.3f} GB")
    for bank in held:
        state = "  in use" if bank.in_use else ""
        typer.echo(f"  {bank.key}  {bank.n_bytes / GB:.3f} GB  {moment_words(int(bank.used_s * 1e9))}{state}")
    if on_demand:
        typer.echo(
            f"open on demand: {on_demand}, each with rows on this disk, in files without a name, until its "
            "program ends"
        )


def _jobs_text(at: BuildProgress) -> str:
    reused = f", {at.reused} from an earlier attempt" if at.reused else ""
    return f"rows, {at.jobs_done}/{at.jobs} jobs{reused}"


def _print_json(value: object) -> None:
    typer.echo(json_text(value, sort_keys=True))


def _print_summary(summary: DatasetSummary, as_json: bool) -> None:
    if as_json:
        _print_json(summary.model_dump(mode="json"))
        return
    console = Console(markup=False, emoji=False)  # "frames:ok:" is a counter, not a picture
    facts = Table(show_header=False, title=f"dataset {summary.dataset_digest}")
    for name, value in _facts(summary):
        facts.add_row(name, value)
    console.print(facts)
    splits = Table("split", "events", "markets", "rows", "cannot be played")
    for name, split in summary.splits.items():
        splits.add_row(name, f"{split.events:,}", f"{split.markets:,}", f"{split.rows:,}", _lost_text(split))
    console.print(splits)
    for stratum in summary.strata:
        for line in _stratum_lines(stratum):
            typer.echo(line)


def _print_skipped(skipped: dict[str, str]) -> None:
    """Name the files of the folders that were left out, and why."""
    if skipped:
        typer.echo(f"{len(skipped):,} files skipped:")
    for path, why in list(skipped.items())[:_SHOWN]:
        typer.echo(f"  {path}: {_first_words(why.removeprefix(f'{path}: '))}")
    if len(skipped) > _SHOWN:
        typer.echo(f"  and {len(skipped) - _SHOWN:,} more (--json lists all)")


def _first_words(text: str) -> str:
    """Beginning of a reason; --json has the whole of it."""
    return text if len(text) <= _REASON_CHARS else f"{text[: _REASON_CHARS - 3]}..."


def _stratum_lines(stratum: StratumSummary) -> Iterator[str]:
    """Lines on one stratum: its blocks, its parts, its cuts, and the events that are in no split."""
    ns = stratum.block_ns
    length = "an event is a block" if ns is None else f"blocks of {duration_words(ns)}"
    gap = "" if stratum.embargo_ns is None else f", embargo {duration_words(stratum.embargo_ns)}"
    yield f"{stratum.name} ({', '.join(stratum.provenances)}): {length}{gap}"
    parts = ((name, part) for name, part in stratum.parts.items() if part.markets)
    counts = [f"{name} {_blocks_text(part)} / {part.events:,} / {part.markets:,}" for name, part in parts]
    yield f"  blocks / events / markets: {', '.join(counts) or 'none in a split'}"
    if stratum.words:
        yield f"  {stratum.words}"
    for what, events in (("in an embargo or across a cut", stratum.left_out), ("long-lived", stratum.long)):
        if events:
            rest = f" and {len(events) - _NAMED:,} more (--json)" if len(events) > _NAMED else ""
            yield f"  {len(events):,} events {what}: {', '.join(events[:_NAMED])}{rest}"


def _blocks_text(part: PartSummary) -> str:
    """Number of blocks, and of those that can be played where it is smaller: so many a judgement counts."""
    if part.playable_blocks in (None, part.blocks):
        return f"{part.blocks:,}"
    return f"{part.blocks:,} ({part.playable_blocks:,} can be played)"


def _lost_text(split: SplitSummary) -> str:
    if split.unplayable_markets is None:
        return "not counted"
    whole = f" ({split.unplayable_events:,} whole events)" if split.unplayable_events else ""
    return f"{split.unplayable_markets:,} markets{whole}"


def _facts(summary: DatasetSummary) -> Iterator[tuple[str, str]]:
    note = "" if summary.readable else "  (this program has another: rebuild to use it)"
    yield "address", summary.uri
    yield "feature table", summary.feature_digest + note
    yield "events", f"{summary.events:,}"
    yield "markets", playable_words(summary.markets, summary.unplayable_markets)
    yield "outcomes", f"{summary.settled_markets:,} markets with a known one"
    if summary.older_outcomes:
        older = "whose features lack outcomes of others that became known later"
        yield "older outcomes", f"{summary.older_outcomes:,} markets {older}"
    yield "rows", f"{summary.rows:,} messages from {summary.event_rows:,} recorded changes"
    yield "gaps", f"{summary.gaps:,}"
    yield "span", f"{moment_words(summary.first_ns)} to {moment_words(summary.last_ns)}"
    yield "size", f"{summary.n_bytes / 2**20:,.1f} MiB"
    if summary.left_out_events:
        yield "left out", f"{summary.left_out_events:,} events, in an embargo or across a cut: in no split"
    if summary.parents:
        yield "grew from", " -> ".join(summary.parents)
    yield "provenance", ", ".join(f"{name}: {n:,} markets" for name, n in summary.provenance.items())
    if summary.worlds:
        yield "simulated in", "; ".join(map(world_words, summary.worlds))
    yield "gap detection", ", ".join(_detection(name, n) for name, n in summary.gap_detection.items())
    if summary.recordings:
        yield "coverage", "\n".join(coverage_lines(summary.recordings))
    yield "sources", "\n".join(summary.sources)
    if summary.joined:
        yield "trades beside books", "\n".join(_joined_text(joined) for joined in summary.joined)
    yield "counted", "\n".join(f"{name}: {n:,}" for name, n in summary.counters.items()) or "nothing unusual"
    if summary.notes:
        yield "put aside", "\n".join(summary.notes)


def _joined_text(joined: JoinedFiles) -> str:
    how = "the book file's 99th percentile" if joined.measured else "assumed"
    return (
        f"{joined.files}: {joined.prints:,} prints of {joined.markets:,} markets joined, received "
        f"{joined.delay_ns / NS_PER_MS:,.1f} ms after the exchange's time ({how})"
    )


def _detection(name: str, markets: int) -> str:
    words = "none (gaps cannot be seen)" if name == "none" else name
    return f"{words}: {markets:,} markets"
