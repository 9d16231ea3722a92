"""Orders of the account that are not in the journal, each named once by whose it is."""

from kalshi_platform.trading.execution.journal.journal import PREFIX, OrderJournal
from kalshi_platform.trading.execution.orders.reports import OrderReport, ReportedStatus
from kalshi_platform.trading.execution.reconcile.differences import Difference, DifferenceKind

OPENED = "opened_ns"


class ForeignOrders:
    """Foreign orders told so far."""

    def __init__(self, journal: OrderJournal) -> None:
        self._journal = journal
        self._told: set[str] = set()

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
        is_program = (report.client_order_id or "").startswith(f"{PREFIX}-")
        kind = DifferenceKind.ANOTHER_SESSION if is_program else DifferenceKind.FOREIGN_ORDER
        return [Difference(kind, name, "not in this journal", theirs)]
