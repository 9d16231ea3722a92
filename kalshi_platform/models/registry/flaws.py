"""Flaws of a registered model: the errors that the checkup found when it was registered.

Owns   Flaw, and the order of models by what is known against them.
Rule   a model that does not trade earns nothing and loses nothing: it looks safe, so it stands last.
Not    the checkup (evaluation/judging/checkup.py) nor who becomes challenger (evaluation/promotion).
"""

from enum import IntEnum

from kalshi_platform.domain.config import Config


class Flaw(Config):
    """One error of the checkup."""

    rule: str
    message: str
    split: str  # events on which it was found
    idle: bool = False  # True: not one order was filled

    @property
    def words(self) -> str:
        """The flaw in one line."""
        return f"{self.rule} on the {self.split} events: {self.message}"


class Fitness(IntEnum):
    """Order of models by what is known against them, the best first."""

    SOUND = 0  # the checkup found no error
    UNKNOWN = 1  # registered by a release that kept no checkup
    FLAWED = 2
    IDLE = 3  # does not trade


#: Words on a model of that fitness where they must be said.
FITNESS_WORDS = {
    Fitness.FLAWED: "its checkup found errors",
    Fitness.IDLE: "it does not trade",
}
