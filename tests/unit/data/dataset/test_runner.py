"""Who runs the jobs of a build: workers only where they pay."""

import pytest

from kalshi_platform.data.dataset.runner import paying_workers


@pytest.mark.parametrize(
    ("rows", "cores", "workers"), [(0, 8, 1), (999_999, 8, 1), (3_500_000, 8, 3), (50_000_000, 8, 8)]
)
def test_workers_are_started_only_where_they_pay(rows, cores, workers):
    assert paying_workers(rows, cores) == workers
