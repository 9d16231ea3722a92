"""Keeps the distances of a simulated world from the recorded days, and holds a later world to them.

    python benchmarks/frozen_distances.py DAY13.json DAY10.json DAYS.json    keep: JSON and table in docs/
    python benchmarks/frozen_distances.py                                    write the table again
    python benchmarks/frozen_distances.py --hold RECORD.json                 is the distance at most half?

The files are calibration.json of ``kalshi-platform calibrate --out``: the world beside each recorded day, and
the two days beside each other; a record that is held has one of these days as its recorded side.

Kept      quantiles, numbers, distances and noise; no curve, because the recordings are not ours to publish.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
FROZEN, PAGE = DOCS / "frozen_distances.json", DOCS / "calibration.md"
BEGIN, END = "<!-- frozen_distances: begin -->\n", "<!-- frozen_distances: end -->\n"
_WANTED: Final = "give the calibration.json that `kalshi-platform calibrate --out FOLDER` writes"
#: Fields of a measure that are kept.
_KEPT: Final = (
    "name",
    "unit",
    "recorded",
    "simulated",
    "distance",
    "distance_unit",
    "noise",
    "noise_median",
    "ks",
)


def frozen(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures kept of two records of a world and one of the two days."""
    first, second, days = records
    return {
        "made": first["made"],
        "settings": first["config"],
        "recorded_dataset": first["recorded"]["dataset_digest"],
        "simulated_dataset": first["simulated"]["dataset_digest"],
        "days": {day_of(each): measures_of(each) for each in (first, second)},
        "between_days": measures_of(days),
    }


def day_of(record: dict[str, Any]) -> str:
    """Name of the recorded event; a record of several is refused."""
    names = record["recorded"]["first_events"]
    if len(names) != 1:
        raise SystemExit(
            f"the recorded side has the events {', '.join(names)} ...: one day is compared, name it with "
            "`calibrate --select`"
        )
    return str(names[0])


def read(path: str) -> dict[str, Any]:
    """Record in the file ``path``; what is no calibration.json ends the program in words."""
    try:
        record = json.loads(Path(path).read_text())
    except (OSError, ValueError) as err:
        raise SystemExit(f"{path} cannot be read ({err}): {_WANTED}") from None
    if not isinstance(record, dict) or not {"recorded", "distributions", "numbers"} <= record.keys():
        raise SystemExit(f"{path} is no record of a comparison: {_WANTED}")
    return record


def measures_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Kept fields of every measure."""
    found = []
    for each in (*record["distributions"], *record["numbers"]):
        kept = {name: each[name] for name in _KEPT if name in each}
        kept.setdefault("distance_unit", each["unit"])
        found.append(kept)
    return found


def table(kept: dict[str, Any]) -> str:
    """Markdown of the distances: one row a measure that both sides have."""
    first, second = kept["days"]
    lines = [
        f"| measure | simulated | {first} | distance | noise | {second} | distance | noise | the two days |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one, two, days in zip(*kept["days"].values(), kept["between_days"], strict=True):
        if one["distance"] is None:
            continue
        cells = [_side(one, "simulated")]
        for day in (one, two):
            cells += [_side(day, "recorded"), _distance(day, "distance"), _distance(day, "noise")]
        lines.append(f"| {one['name']} | {' | '.join(cells)} | {_distance(days, 'distance')} |")
    return "\n".join(lines) + "\n"


def _side(measure: dict[str, Any], side: str) -> str:
    seen = measure[side]
    if isinstance(seen, dict):
        unit = measure["unit"]
        return " / ".join(f"{seen['quantiles'][name]:.4g}" for name in ("p10", "p50", "p90")) + f" {unit}"
    return _text(seen, measure["unit"])


def _distance(measure: dict[str, Any], name: str) -> str:
    return _text(measure[name], measure["distance_unit"])


def _text(value: float, unit: str) -> str:
    if unit == "fraction":
        return f"{100 * value:.3g} %"
    return f"{value:.3g}{'' if unit == 'ratio' else ' ' + unit.removesuffix(' of a market')}"


class Held(NamedTuple):
    """One measure of a later world: its distance, the frozen one, and the recorded noise."""

    name: str
    distance: float | None
    frozen: float | None
    noise: float | None

    @property
    def is_half(self) -> bool:
        """True where the distance is at most half of the frozen one."""
        return self.distance is not None and self.frozen is not None and self.distance <= self.frozen / 2

    @property
    def is_within(self) -> bool:
        """True where the distance is not above the recorded noise."""
        return self.distance is not None and self.noise is not None and self.distance <= self.noise


def held(record: dict[str, Any], kept: dict[str, Any]) -> list[Held]:
    """Every frozen measure of the record's day beside the record's distance; None where it has none."""
    if (day := day_of(record)) not in kept["days"]:
        raise SystemExit(f"{day} is not frozen: the recorded side must be {' or '.join(kept['days'])}")
    found = {each["name"]: each for each in measures_of(record)}
    nothing = {"distance": None, "noise": None}
    return [
        Held(each["name"], now["distance"], each["distance"], now["noise"])
        for each in kept["days"][day]
        for now in [found.get(each["name"], nothing)]
    ]


def held_text(rows: list[Held]) -> str:
    """A line a measure that has a frozen distance: distance, frozen, noise, and what was reached."""
    lines = []
    for row in rows:
        if row.frozen is None:
            continue
        reached = [
            words for is_so, words in ((row.is_half, "half"), (row.is_within, "within noise")) if is_so
        ]
        numbers = ["-" if v is None else f"{v:.4g}" for v in (row.distance, row.frozen, row.noise)]
        lines.append(f"{row.name:40} {' '.join(f'{n:>10}' for n in numbers)}  {', '.join(reached) or 'FAR'}")
    return "\n".join([f"{'measure':40} {'distance':>10} {'frozen':>10} {'noise':>10}", *lines])


def with_table(page: str, made: str) -> str:
    """``page`` with ``made`` between its marks."""
    head, _, rest = page.partition(BEGIN)
    return head + BEGIN + made + END + rest.partition(END)[2]


def main(paths: list[str]) -> None:
    """Write the JSON of the given records, and the table; or hold one record to what was kept."""
    if paths[:1] == ["--hold"]:
        if len(paths) != 2:
            raise SystemExit(f"--hold takes one file: {_WANTED}")
        record, kept = read(paths[1]), json.loads(FROZEN.read_text())
        print(held_text(held(record, kept)))
        if (digest := record["recorded"]["dataset_digest"]) != kept["recorded_dataset"]:
            print(
                f"the recorded side is dataset {digest}, the frozen one was {kept['recorded_dataset']}: "
                "where the recordings differ, the distances are of two things"
            )
        return
    if paths:
        if len(paths) != 3:
            raise SystemExit(f"give three files, the world beside each day and the two days: {_WANTED}")
        kept = frozen([read(path) for path in paths])
        FROZEN.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(with_table(PAGE.read_text(), table(json.loads(FROZEN.read_text()))))


if __name__ == "__main__":
    main(sys.argv[1:])
