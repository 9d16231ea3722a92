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
