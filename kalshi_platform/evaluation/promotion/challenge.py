"""Who becomes challenger without anybody naming it: the winner of a sweep, the policy of `make run`.

Rule   a model against which nothing is known takes the alias, as the newest always did. One that does not
       trade, or whose checkup found an error, takes it only where no better one has it; else it is held back:
       registered, under its mark, without the alias.
Not    a user's own word: ``models promote MODEL --alias challenger`` names any model that loads.
"""

from typing import NamedTuple

from kalshi_platform.domain.program import command_line
from kalshi_platform.evaluation.promotion.promote import promote_model
from kalshi_platform.models.registry.flaws import FITNESS_WORDS, Fitness
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import CHALLENGER, Registry


class Challenge(NamedTuple):
    """Result: the present challenger, whether it is the model asked about, and both in words."""

    challenger: str
    taken: bool
    words: str


def challenge(registry: Registry, record: ModelRecord, reason: str = "") -> Challenge:
    """Make the model of ``record`` challenger unless it is flawed and a better one is challenger now."""
    present = registry.aliases().model(CHALLENGER)
    rival = registry.record(present) if present and present != record.id and registry.holds(present) else None
    found = FITNESS_WORDS.get(record.fitness, "")
    if found and rival is not None and rival.fitness < record.fitness:
        why = "its checkup found no error" if rival.fitness is Fitness.SOUND else "it is the better one"
        if rival.fitness is Fitness.UNKNOWN:
            why = "it trades, and no error of it is known"
        named = command_line(
            "models", "promote", record.id, "--alias", CHALLENGER, "--registry", registry.uri
        )
        return Challenge(
            rival.id,
            False,
            f"held back: {record.id} is registered, but {found}; the challenger stays {rival.id}: {why}. "
            f"To name it all the same: {named}",
        )
    promote_model(registry, record.id, alias=CHALLENGER, reason=reason)
    instead = f" instead of {rival.id}" if rival is not None else ""
    caution = f", although {found}: no better one was there" if found else ""
    return Challenge(record.id, True, f"challenger: {record.id}{instead}{caution}")
