"""Record of what a sweep registered: the model, its run and seed, and whether it became challenger.

Owns   the content of winner/registered.json, which the page and the summary read; registering.py writes it.
"""

from pathlib import Path
from typing import Final

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.learning.tuning.sweep_record import SweepRecord
from kalshi_platform.models.registry.flaws import Flaw

REGISTERED_FILE: Final = "registered.json"


class Registered(Config):
    """The model that a sweep registered."""

    model: str
    registry: str
    run: str  # folder of the run, relative to the sweep's
    seed: int
    is_challenger: bool
    challenger: str  # id of the model that is challenger now
    idle: bool  # it does not trade
    flaws: tuple[Flaw, ...]
    words: str  # how it stands beside the present challenger


def read_registered(judged: Path) -> Registered | None:
    """Record in a sweep's folder ``winner``; None where it registered nothing."""
    try:
        return Registered.parse(json_value((judged / REGISTERED_FILE).read_text()))
    except FileNotFoundError:
        return None
    except ValueError as err:
        raise DataError(f"{judged / REGISTERED_FILE} is not JSON ({err}): delete it and --resume") from None
    except ContractError as err:
        raise DataError(f"{judged / REGISTERED_FILE} is damaged ({err}): delete it and --resume") from None


def seed_of(record: SweepRecord) -> int:
    """Seed of the run that won."""
    return next(trial.seed for trial in record.trials if trial.run == record.winner_run)
