"""A run's lines: passing ones, which the listener leaves out where they come too fast."""

from kalshi_platform.domain.saying import Teller
from kalshi_platform.learning.training.progress import Progress, shown_to


def at(iteration: int) -> Progress:
    return Progress(iteration, 50, 100 * iteration, 10.0, 30.0, None, None, None)


class Listener(Teller):
    """Keeps what it is told, by kind."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.passed: list[str] = []

    def __call__(self, line: str) -> None:
        self.stages.append(line)

    def note(self, line: str) -> None:
        self.stages.append(line)

    def detail(self, line: str) -> None:
        self.stages.append(line)

    def passing(self, line: str) -> None:
        self.passed.append(line)


def test_every_iteration_is_a_passing_line_under_the_name_of_its_run():
    listener = Listener()
    show = shown_to(listener, "training seed 3")
    for iteration in range(1, 51):
        show(at(iteration))
    assert listener.stages == []
    assert [line.split("/")[0] for line in listener.passed] == [f"training seed 3: {i}" for i in range(1, 51)]


def test_a_plain_function_is_told_of_a_quick_run_nothing():
    said: list[str] = []
    show = shown_to(said.append)
    for iteration in range(1, 51):
        show(at(iteration))
    assert said == []


def test_the_pace_shown_is_that_of_the_whole_run_with_its_validations():
    # 2,000 steps in 10 s are 200 a second, though the last iteration alone sampled and learned 10 a second.
    assert "  200 steps/s  " in at(20)._replace(elapsed_s=10.0).line()
    assert "  10 steps/s  " in at(20).line()  # nothing is known of the time


def test_the_first_iteration_foretells_nothing_because_it_holds_the_start():
    assert "left" not in at(1).line()
    assert "  30 s left" in at(2).line()


def test_a_line_names_the_unit_of_every_number():
    line = at(20)._replace(episode_return=-5.941, score=0.0439, best_score=0.0563).line()
    assert "reward -5.94 an episode (scaled)" in line
    assert "validation return +4.39 % of capital (best +5.63 %)" in line


def test_a_notice_is_said_whenever_there_is_one():
    listener = Listener()
    show = shown_to(listener)
    show(at(1))
    show(at(2)._replace(notice="warning: it holds"))
    show(at(3))
    assert listener.stages == ["warning: it holds"]
    assert len(listener.passed) == 3
