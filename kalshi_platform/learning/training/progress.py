"""The progress of a run after an iteration, as a line."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kalshi_platform.domain.saying import Say, passing
from kalshi_platform.evaluation.pages.formats import signed_percent


class Progress(NamedTuple):
    """Progress of a run after an iteration; everything but the clock repeats with the same settings."""

    iteration: int
    iterations: int
    env_steps: int
    steps_per_s: float  # of this iteration's sampling and learning
    seconds_left: float
    episode_return: float | None
    score: float | None
    best_score: float | None
    best_iteration: int | None = None
    #: Numbers of every validation so far, oldest first, each with its iteration and env_steps.
    validations: tuple[Mapping[str, Any], ...] = ()
    elapsed_s: float = 0.0  # with start, validations and checkpoints
    collapse: str = ""  # what is wrong with how the last policy validated trades; empty: nothing
    notice: str = ""  # to be said in any case after this iteration

    @property
    def overall_steps_per_s(self) -> float:
        """Steps a second of the whole run up to now, validations and checkpoints included."""
        return self.env_steps / self.elapsed_s if self.elapsed_s > 0 else self.steps_per_s

    def line(self) -> str:
        """The progress in one line, for the terminal."""
        left = (
            f"{self.seconds_left / 60:.0f} min" if self.seconds_left >= 120 else f"{self.seconds_left:.0f} s"
        )
        shown = [
            f"{self.iteration}/{self.iterations}",
            f"{self.env_steps:,} steps",
            f"{self.overall_steps_per_s:,.0f} steps/s",
        ]
        if self.iteration > 1:  # the first one holds the start: kernels are compiled, networks are made
            shown.append(f"{left} left")
        if self.episode_return is not None:
            shown.append(f"reward {self.episode_return:+.2f} an episode (scaled)")
        if self.score is not None and self.best_score is not None:
            best = signed_percent(self.best_score)
            shown.append(f"validation return {signed_percent(self.score)} of capital (best {best})")
        return "  ".join(shown)


def shown_to(say: Say, name: str = "training") -> Callable[[Progress], None]:
    """Show a run's iterations as passing lines of ``say``, and its notices; ``name`` says which run it is."""
    shown = passing(say)

    def show(progress: Progress) -> None:
        shown(f"{name}: {progress.line()}")
        if progress.notice:
            say(progress.notice)

    return show
