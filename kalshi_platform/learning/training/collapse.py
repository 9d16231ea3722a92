"""Collapse while a run trains: what the checkup says of each validated policy, kept over the validations.

Owns   when it is said: at the validation that finds it, again after 2, 4, 8, ... in a row, and when it ends.
Not    what a collapse is: ``evaluation/judging/checkup_habits.py`` decides that, of finished policies too.
"""

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.checkup_facts import Finding


class Collapse(Config):
    """The last validation's finding, and for how many validations in a row there was one."""

    message: str = ""  # empty: the policy trades as one should
    remedy: str = ""
    in_a_row: int = 0  # validations with a finding, up to the last
    ended: int = 0  # length of the row that the last validation ended

    def after(self, found: Finding | None) -> "Collapse":
        """State after one more validation, which found ``found``."""
        if found is None:
            return Collapse(ended=self.in_a_row)
        return Collapse(message=found.message, remedy=found.remedy, in_a_row=self.in_a_row + 1)

    def notice(self, iteration: int, trade_rate: float) -> str:
        """Sentence to say after the validation of ``iteration``; empty where nothing is to be said.

        ``trade_rate`` is the share of its decisions that were an order.
        """
        if self.message:
            if self.in_a_row & (self.in_a_row - 1):  # no power of two: said before, and to be said again
                return ""
            again = f", for {self.in_a_row} validations now" if self.in_a_row > 1 else ""
            return f"warning: iteration {iteration}{again}: {self.message}. What to do: {self.remedy}"
        if self.ended:
            rate = f"{trade_rate:.1%}"
            return f"iteration {iteration}: the policy has recovered: it trades at {rate} of its decisions"
        return ""


def end_words(last: str, best: str, best_iteration: int | None) -> str:
    """Words for the last line of a run, empty where all is well; ``last`` and ``best`` as in TrainResult."""
    if best:
        return f"warning: the best policy of the run is not worth using: {best}"
    if last:
        kept = f"; the best one, of iteration {best_iteration}, does trade" if best_iteration else ""
        return f"warning: at its end {last}{kept}"
    return ""
