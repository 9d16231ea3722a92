"""The records of an evaluation: JSON and back, and settings that cannot be."""

import json

import pytest
from made.registry_models import CHOICE
from made.replay_bank import bank_of, book, market, rows_of

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.evaluation import (
    WHOLE_LIVES_UP_TO,
    Coverage,
    EvalConfig,
    Evaluation,
    Subject,
)


def test_the_answer_is_json_and_comes_back_equal(judged):
    again = Evaluation.parse(json.loads(judged.model_dump_json()))
    assert again == judged


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ContractError, match="unknown baselines"):
        EvalConfig.parse({"baselines": ("alchemy",)})
    with pytest.raises(ContractError, match="repeat"):
        EvalConfig.parse({"seeds": (1, 1)})


@pytest.mark.parametrize(
    ("n_rows", "schedule", "each"),
    [(WHOLE_LIVES_UP_TO, "markets", 20), (WHOLE_LIVES_UP_TO + 1, "windows", 1)],
)
def test_whole_lives_are_played_up_to_a_million_rows_and_one_window_a_market_above(n_rows, schedule, each):
    config = EvalConfig.for_rows(n_rows)
    assert (config.schedule, config.episodes_per_market) == (schedule, each)


def test_every_baseline_is_beaten_only_where_each_interval_lies_above_zero(judged):
    def with_beats(*beats):
        kept = zip(judged.comparisons, beats, strict=False)
        return judged.model_copy(
            update={
                "comparisons": tuple(c.model_copy(update={"beats": b}) for c, b in kept),
                "rules": CHOICE,
            }
        )

    assert with_beats(True, True, True).beats_every_baseline
    assert not with_beats(True, False, True).beats_every_baseline
    unruled = with_beats(True, True, True).model_copy(update={"rules": None})
    assert not unruled.beats_every_baseline  # it met no rule that training events chose
    assert not with_beats().beats_every_baseline  # nobody was played: nobody was beaten


def test_markets_and_events_that_no_episode_can_play_are_counted():
    def rows(*valid):
        return rows_of(*[book(k, ((4_000, 1),), ((5_000, 1),), valid=v) for k, v in enumerate(valid)])

    bank = bank_of(
        market(rows(1, 1, 0, 1, 1), "A", "E"), market(rows(1), "B", "E"), market(rows(1, 0, 1), "C", "F")
    )
    found = Coverage.of(bank)
    assert found == Coverage(n_events=2, n_markets=3, unplayable_events=1, unplayable_markets=2)
    assert found.words.startswith("2 events, 3 markets, of which 2 cannot be played: fewer than two rows")
    whole = bank_of(market(rows(1, 1), "A", "E"))
    assert Coverage.of(whole).words == "1 event, 1 market"


@pytest.mark.parametrize(
    ("trained_on", "descends", "words"),
    [
        ("", None, ""),
        ("b" * 12, True, "trained and judged on bbbbbbbbbbbb"),
        ("a" * 12, True, "trained on aaaaaaaaaaaa, judged on bbbbbbbbbbbb, which grew from it"),
        ("a" * 12, False, "judged on bbbbbbbbbbbb, another one: it may hold what taught the policy"),
    ],
)
def test_the_lineage_says_on_which_state_a_policy_was_trained_and_judged(trained_on, descends, words):
    found = Subject(dataset_digest="b" * 12, trained_on=trained_on, descends=descends).lineage
    assert words in found
    assert bool(found) == bool(words)
