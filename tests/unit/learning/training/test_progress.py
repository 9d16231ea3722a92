"""A run's lines: the first, the last, and not every one between them."""

from kalshi_platform.learning.training.progress import Progress, shown_to


def at(iteration: int) -> Progress:
    return Progress(iteration, 50, 100 * iteration, 10.0, 30.0, None, None, None)


def test_the_first_and_the_last_iteration_are_shown_and_a_quick_run_shows_no_others():
    said: list[str] = []
    show = shown_to(said.append)
    for iteration in range(1, 51):
        show(at(iteration))
    assert [line.split()[0] for line in said] == ["1/50", "50/50"]


def test_the_pace_shown_is_that_of_the_whole_run_with_its_validations():
    # 2,000 steps in 10 s are 200 a second, though the last iteration alone sampled and learned 10 a second.
    assert "  200 steps/s  " in at(20)._replace(elapsed_s=10.0).line()
    assert "  10 steps/s  " in at(20).line()  # nothing is known of the time


def test_a_line_names_the_unit_of_every_number():
    line = at(20)._replace(episode_return=-5.941, score=0.0439, best_score=0.0563).line()
    assert "reward -5.94 an episode (scaled)" in line
    assert "validation return +4.39 % of capital (best +5.63 %)" in line


def test_a_notice_is_said_whenever_there_is_one():
    said: list[str] = []
    show = shown_to(said.append)
    show(at(1))
    show(at(2)._replace(notice="warning: it holds"))
    show(at(3))
    assert [line.split()[0] for line in said] == ["1/50", "2/50", "warning:"]
