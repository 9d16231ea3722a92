"""Arrangement: nothing lies outside of a terminal of 80 by 24 or 160 by 50."""

import pytest
from made.session_view import drawn, on_screen
from rich.cells import cell_len


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 50)])
def test_header_list_panels_and_keys_fill_the_screen(columns, lines):
    async def work(app, pilot):
        shown = drawn(app)
        assert max(cell_len(line) for line in shown) == columns
        assert shown[0].startswith(" SIMULATED EXCHANGE, SIMULATED MONEY ")
        assert shown[4].startswith("market")
        assert "? help" in shown[-1]
        below = [app.query_one(name) for name in ("#header", "#markets", "#panels", "#keys")]
        assert [each.region.y for each in below] == sorted(each.region.y for each in below)
        assert below[-1].region.bottom == lines
        assert all(each.region.height > 0 and each.region.right <= columns for each in below)

    on_screen(work, size=(columns, lines))
