"""The record of a validation: taken from an evaluation, kept in a checkpoint, refused where damaged."""

import pytest

from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError
from kalshi_platform.evaluation.judging.validation import VALIDATION_FILE, Validation, read_validation
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.storage.sealed import seal


def test_a_validation_holds_the_figures_of_the_evaluation(judged):
    found = Validation.of(judged.policy)
    assert found.score == judged.score
    assert (found.low, found.high) == (judged.policy.mean_return.low, judged.policy.mean_return.high)
    assert found.events == {e.event: e.mean_return for e in judged.policy.events}
    assert found.blocks == found.block_returns == found.events, "simulated: an event is a block"
    # The score is the mean over blocks: they count alike, however many markets they have.
    assert sum(found.events.values()) / len(found.events) == pytest.approx(found.score)


def test_an_evaluation_without_a_score_is_refused_with_its_note(judged):
    nothing = Interval(estimate=None, low=None, high=None, level=0.95, n_clusters=0, note="no data")
    with pytest.raises(DataError, match="no data"):
        Validation.of(judged.policy.model_copy(update={"mean_return": nothing}))


def test_a_bound_that_is_not_known_is_no_number_of_the_metrics(judged):
    one_event = Validation.of(judged.policy).replace(low=None, high=None)
    assert set(one_event.numbers) == {"score", "sharpe", "trade_rate", "max_drawdown"}


def test_a_validation_of_two_blocks_has_no_sharpe_and_says_null(judged):
    two = Validation.of(judged.policy).replace(sharpe=None)
    assert "sharpe" not in two.numbers
    assert '"sharpe":null' in two.model_dump_json()


def test_a_file_of_an_earlier_version_has_its_events_as_blocks(judged):
    old = Validation.of(judged.policy).model_dump(mode="json", exclude={"blocks"})
    assert Validation.parse(old).block_returns == old["events"]


def test_a_collapsed_policy_is_told_in_its_file_and_no_number_of_the_metrics(judged):
    trading = judged.policy.trading.model_copy(update={"n_fills": 0, "action_counts": (9, 0, 0, 0, 0)})
    idle = Validation.of(judged.policy.model_copy(update={"trading": trading}))
    assert idle.collapse is not None
    assert idle.collapse.rule == "policy_collapse"
    assert "collapse" not in idle.numbers
    assert Validation.parse(idle.model_dump(mode="json")) == idle
    assert "collapse" not in idle.replace(collapse=None).model_dump()


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint that nobody validated, sealed."""
    (tmp_path / "policy.pt").write_bytes(b"weights")
    seal(tmp_path)
    return tmp_path


def test_a_checkpoint_gives_back_its_validation_or_none(judged, checkpoint):
    assert read_validation(checkpoint) is None
    kept = Validation.of(judged.policy)
    (checkpoint / VALIDATION_FILE).write_text(kept.model_dump_json())
    seal(checkpoint)
    assert read_validation(checkpoint) == kept


def test_a_score_counts_only_for_the_weights_that_it_was_measured_of(judged, checkpoint):
    (checkpoint / VALIDATION_FILE).write_text(Validation.of(judged.policy).model_dump_json())
    with pytest.raises(DataError, match=r"validation\.json is not named by"):
        read_validation(checkpoint)
    seal(checkpoint)
    (checkpoint / "policy.pt").write_bytes(b"weightz")
    with pytest.raises(ChecksumError, match=r"policy\.pt has sha256"):
        read_validation(checkpoint)


@pytest.mark.parametrize(
    ("text", "named"), [('{"score": 0.1', VALIDATION_FILE), ('{"score": "much"}', "score")]
)
def test_a_damaged_validation_is_refused(checkpoint, text, named):
    (checkpoint / VALIDATION_FILE).write_text(text)
    seal(checkpoint)
    with pytest.raises((DataError, ContractError), match=named):
        read_validation(checkpoint)
