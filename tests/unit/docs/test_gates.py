"""docs/gates.md: every gate and every threshold as the code has them."""

import re
from pathlib import Path

from made.gates_page import settings_table

from kalshi_platform.evaluation.promotion import gates

PAGE = (Path(__file__).parents[3] / "docs" / "gates.md").read_text()


def test_the_thresholds_on_the_page_are_those_of_the_code() -> None:
    assert settings_table() in PAGE, f"put this table into docs/gates.md:\n{settings_table()}"


def test_the_page_names_every_gate() -> None:
    source = Path(gates.__file__).read_text()
    named = re.findall(r'_gate\(\s*"([a-z ]+)"', source)
    assert len(set(named)) >= 12
    shown = re.findall(r"^\| `([a-z ]+)` \| (?!\d)", PAGE.partition("## Thresholds")[0], re.MULTILINE)
    assert set(named) == {*shown, "played"}
