"""A run whose schedule leaves steps without learning, or lays it anew, says so."""

from made.training import SMALL

from kalshi_platform.learning.training.annealing import annealing_note

#: 4 iterations of 128 steps.
RUN = SMALL.replace(anneal_steps="run")


def test_the_schedule_follows_the_runs_own_length_and_its_last_iteration_still_learns():
    assert RUN.annealed_over == 5 * 128
    assert RUN.replace(total_env_steps=8 * 128).annealed_over == 9 * 128
    assert RUN.replace(total_env_steps=1).annealed_over == 2 * 128  # one iteration, at half of the rate
    assert (SMALL.replace(anneal_steps=0).annealed_over, SMALL.replace(anneal_steps=7).annealed_over) == (
        0,
        7,
    )


def test_nothing_is_said_of_a_run_that_learns_to_its_end():
    assert annealing_note(RUN) is None
    assert annealing_note(SMALL.replace(anneal_steps=0)) is None
    assert annealing_note(RUN, began=RUN, done_steps=256) is None


def test_steps_after_the_schedule_learn_nothing_and_the_run_says_so():
    note = annealing_note(RUN.replace(anneal_steps=128))
    assert note is not None
    assert note.startswith("the learning rate falls to zero at 128 environment steps")
    assert "the 384 steps after that learn nothing; give train.anneal_steps=run" in note
    resumed = annealing_note(RUN.replace(anneal_steps=128), RUN.replace(anneal_steps=128), 128)
    assert resumed is not None
    assert resumed.endswith("start a run of that length in another --out")


def test_a_longer_resumed_run_says_how_its_schedule_is_laid_anew():
    # done 512 of 512: 1 - 512 / 640 = 20 % of the rate; over 9 * 128 = 1,152 steps: 1 - 512 / 1,152 = 56 %
    note = annealing_note(RUN.replace(total_env_steps=1_024), RUN, 512)
    assert note is not None
    assert "was to end at 512 steps and now ends at 1,024" in note
    assert "goes from 20 % to 56 % of 0.001" in note
