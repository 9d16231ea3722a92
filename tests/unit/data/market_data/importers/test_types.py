"""Types of an import: labels of jobs, and an order of provenances that leaves none out."""

from typing import get_args

from kalshi_platform.data.market_data.importers.types import (
    PROVENANCE,
    RICHEST_FIRST,
    DataKind,
    ImportedEvent,
    ImportJob,
)
from kalshi_platform.domain.market import Provenance


def test_a_job_is_called_by_its_first_event_and_the_number_of_further_ones() -> None:
    def called(*events: str) -> str:
        return ImportJob(events=events, parts=(), event_of={}, markets={}, n_rows=0).name

    assert called("EV0") == "EV0"
    assert called("EV0", "EV1", "EV2") == "EV0 +2"


def test_every_provenance_has_its_rank_and_every_kind_of_file_its_provenance() -> None:
    assert sorted(RICHEST_FIRST) == sorted(get_args(Provenance))
    assert PROVENANCE.keys() == set(get_args(DataKind))
    # a whole book proves more than its best prices, and these more than prints
    ranks = [RICHEST_FIRST.index(PROVENANCE[kind]) for kind in ("level2", "quotes", "trades")]
    assert ranks == sorted(ranks)


def test_events_do_not_share_their_counters() -> None:
    one, two = ImportedEvent("A", []), ImportedEvent("B", [])
    one.counters["dropped"] += 1
    assert two.counters == {}
