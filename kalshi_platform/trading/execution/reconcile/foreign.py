"""Orders of the account that are not in the journal, each named once by whose it is.

Once  also after a restart, as soon as the halt is written too (``note_told``): what a person has seen and
      resumed over does not halt again. An order that this journal lacks is named at every start: it is an
      older copy of itself.
"""

from kalshi_platform.trading.execution.journal.journal import PREFIX
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.orders.reports import OrderReport, ReportedStatus
from kalshi_platform.trading.execution.reconcile.differences import Difference, DifferenceKind

OPENED = "opened_ns"
_TOLD = "foreign_told"


class ForeignOrders:
    """Foreign orders told so far."""

    def __init__(self, keeper: LedgerKeeper) -> None:
        self._keeper, self._journal = keeper, keeper.journal
        self._told = {str(detail.get("order_id")) for detail in self._journal.notes(_TOLD)}
        self._not_noted: list[str] = []

    def note_told(self, now_ns: int) -> None:
        """Write which orders were named: whoever calls it has halted."""
        for order_id in self._not_noted:
            self._keeper.note(now_ns, _TOLD, {"order_id": order_id})
        self._not_noted.clear()

    def differences(self, report: OrderReport) -> list[Difference]:
        """Name an order that is not ours, once: by its client id it is another session's, or a restored
        journal's; ended orders of others before this journal are their own affair."""
        opened_ns = self._journal.meta_ns(OPENED) or 0
        number = self._journal.number_of(report.client_order_id)
        is_old = report.status is not ReportedStatus.RESTING and (report.exch_ns or 0) <= opened_ns
        if report.order_id in self._told or (is_old and number is None):
            return []
        self._told.add(report.order_id)
        name = report.client_order_id or report.order_id
        theirs = f"{report.status}, {report.ticker}, filled {report.filled_e2}"
        if number is not None:
            ours = f"the last order is number {self._journal.last_number}"
            return [Difference(DifferenceKind.OLDER_JOURNAL, name, ours, theirs)]
        self._not_noted.append(report.order_id)
        is_program = (report.client_order_id or "").startswith(f"{PREFIX}-")
        kind = DifferenceKind.ANOTHER_SESSION if is_program else DifferenceKind.FOREIGN_ORDER
        return [Difference(kind, name, "not in this journal", theirs)]
