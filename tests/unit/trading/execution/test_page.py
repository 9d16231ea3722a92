"""docs/execution.md prints what the code has: every limit with its default, every difference."""

from pathlib import Path

from kalshi_platform.trading.execution.reconcile.differences import GRAVE, DifferenceKind
from kalshi_platform.trading.execution.risk.limits import RiskLimits

PAGE = (Path(__file__).parents[4] / "docs" / "execution.md").read_text()


def rows(heading):
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return {
        cells[1].strip(" `"): [c.strip() for c in cells[2:-1]]
        for cells in (line.split("|") for line in lines)
    }


def test_every_limit_stands_there_with_its_default_and_meaning():
    told = {
        name: ["" if name == "category_losses_usd" else str(field.default), field.description]
        for name, field in RiskLimits.model_fields.items()
    }
    assert rows("Limits") == told


def test_every_difference_stands_there_and_says_whether_it_is_grave():
    told = rows("Differences")
    assert set(told) == {kind.value for kind in DifferenceKind}
    assert {name for name, cells in told.items() if "grave" in cells[0]} == {kind.value for kind in GRAVE}
