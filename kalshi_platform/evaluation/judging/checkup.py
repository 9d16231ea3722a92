"""The checkup of a run: its diseases, from facts recomputed by rolling its policy out.

Owns   the list of rules; ``examine`` applies them all. A rule is small and pure: Facts -> Finding or None.
Not    claims: no rule reads what a checkpoint says of itself. The run's own validations tell only when its
       policy was chosen.
"""

from typing import Final

from kalshi_platform.evaluation.judging import (
    checkup_habits,
    checkup_inputs,
    checkup_learning,
    checkup_profit,
)
from kalshi_platform.evaluation.judging.checkup_facts import CheckupConfig, Facts, Finding, Rule

RULES: Final[tuple[Rule, ...]] = (
    checkup_inputs.not_a_number,
    checkup_habits.never_trades,
    checkup_learning.do_nothing_winner,
    checkup_habits.one_trade_only,
    checkup_habits.one_sided,
    checkup_inputs.mask_never_binds,
    checkup_inputs.action_never_possible,
    checkup_profit.too_good,
    checkup_profit.loses_before_fees,
    checkup_habits.overtrading,
    checkup_profit.equals_a_rule,
    checkup_profit.late_profit,
    checkup_profit.concentrated_profit,
    checkup_profit.last_second_edge,
    checkup_learning.generalisation_gap,
    checkup_learning.chosen_before_learning,
    checkup_habits.no_uncertainty,
    checkup_inputs.bad_books,
    checkup_inputs.dead_features,
    checkup_learning.too_few_events,
    checkup_inputs.makers_without_prints,
)
_ORDER: Final = {"error": 0, "warning": 1, "info": 2}


def examine(facts: Facts, config: CheckupConfig | None = None) -> tuple[Finding, ...]:
    """Findings of all rules, the worst first."""
    found = [f for rule in RULES if (f := rule(facts, config or CheckupConfig())) is not None]
    return tuple(sorted(found, key=lambda f: _ORDER[f.severity]))
