"""Order groups over all events of a shard: one limit, one window of 15 s, one trigger.

Every event has a core of its own with a copy of the group. Before anything happens in one of them, its copy
is told how much of the limit the other events have used; a copy that triggers triggers all.
"""

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.matching.records import NONE
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.rest.answers import ApiError, invalid, missing
from kalshi_platform.trading.simserver.venue.market import ServedEvent
from kalshi_platform.trading.simserver.venue.orders import OrderGroup
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

WINDOW_NS = 15 * NS_PER_SECOND
LEAST_E2, MOST_E2 = 100, 100_000_000
_MOST_GROUPS = 100_000


class OrderGroups:
    """Order groups of the account."""

    def __init__(self, venue: LiveVenue) -> None:
        self._venue, self._account = venue, venue.account
        self._n = 0
        self._in_event: dict[str, list[OrderGroup]] = {}  # event -> groups with a copy in its exchange
        venue.before_outside = self.tell_limits
        venue.after_slice.append(self.spread)

    def find(self, group_id: str) -> OrderGroup:
        """Return a group; ApiError 404 where there is none."""
        found = self._account.groups.get(group_id)
        if found is None:
            raise missing(group_id)
        return found

    def create(self, limit_e2: int, exchange_index: int, subaccount: int = 0) -> OrderGroup:
        """Make a group."""
        _require_limit(limit_e2)
        if len(self._account.groups) >= _MOST_GROUPS:
            raise invalid(f"{_MOST_GROUPS} order groups are there already; delete some")
        self._n += 1
        group_id = wire.uuid_text(wire.GROUP_ID, 0, self._n)
        group = OrderGroup(group_id, self._n, limit_e2, exchange_index, subaccount)
        self._account.groups[group.group_id] = group
        self._tell(group, "created")
        return group

    def core_id(self, group_id: str, event: ServedEvent, subaccount: int) -> int:
        """Return the group's number in the core of an event, made where it is new there."""
        group = self.find(group_id)
        if (group.exchange_index, group.subaccount) != (event.exchange_index, subaccount):
            raise missing(group_id)
        if group.is_triggered:
            raise ApiError(400, "invalid_order", "invalid order", "exceeded order group risk limit")
        live = event.live
        assert live is not None  # the desk has refused others
        if event.ticker not in group.core_ids:
            answer = live.exchange.create_group(
                live.first_outside + subaccount, group.limit_e2, at_ns=self._venue.core_ns(event)
            )
            if answer.order_id == NONE:
                raise invalid("the event has no room for orders of another group")
            group.core_ids[event.ticker] = answer.order_id
            self._account.group_of[event.ticker, answer.order_id] = group
            self._in_event.setdefault(event.ticker, []).append(group)
            self.tell_limits(event)
        return group.core_ids[event.ticker]

    def tell_limits(self, event: ServedEvent) -> None:
        """Tell the copies in an event what is left of their limits."""
        now, live = self._venue.clock.now_ns, event.live
        for group in self._in_event.get(event.ticker, ()):
            number = group.core_ids[event.ticker]
            if live is None:
                continue
            group.matches[:] = [match for match in group.matches if match[0] > now - WINDOW_NS]
            elsewhere = sum(qty for _, qty, where in group.matches if where != event.ticker)
            copies = live.exchange.core.groups
            copies["limit_e2"][number % copies.size] = max(group.limit_e2 - elsewhere, 0)

    def spread(self) -> None:
        """Trigger the copies of every group that triggered in one event."""
        waiting, self._account.has_triggered = self._account.has_triggered, []
        for group in waiting:
            self._each_copy(group, "trigger_group")

    def trigger(self, group: OrderGroup) -> None:
        """Cancel a group's orders and close it to new ones."""
        self._require_open(group)
        if not group.is_triggered:
            group.is_triggered = True
            self._tell(group, "triggered")
        self._each_copy(group, "trigger_group")

    def reset(self, group: OrderGroup) -> None:
        """Let a group take orders again, its matches forgotten."""
        self._require_open(group)
        group.is_triggered = False
        group.matches.clear()
        self._each_copy(group, "reset_group")
        self._tell(group, "reset")

    def set_limit(self, group: OrderGroup, limit_e2: int) -> None:
        """Change a limit; a window that exceeds it triggers the group."""
        _require_limit(limit_e2)
        self._require_open(group)
        group.limit_e2 = limit_e2
        self._tell(group, "limit_updated")
        since = self._venue.clock.now_ns - WINDOW_NS
        if sum(qty for at, qty, _ in group.matches if at > since) > limit_e2:
            self.trigger(group)

    def delete(self, group: OrderGroup) -> None:
        """Cancel a group's orders and forget it."""
        self._require_open(group)
        self._each_copy(group, "delete_group")
        for ticker, number in group.core_ids.items():
            self._in_event[ticker].remove(group)
            self._account.group_of.pop((ticker, number), None)
        del self._account.groups[group.group_id]
        self._tell(group, "deleted")

    def orders_of(self, group: OrderGroup) -> list[str]:
        """Ids of the resting orders of a group."""
        return [o.order_id for o in self._account.by_core.values() if o.group_id == group.group_id]

    def _each_copy(self, group: OrderGroup, act: str) -> None:
        for ticker, number in list(group.core_ids.items()):
            event = self._venue.events.get(ticker)
            if event is None or event.live is None:  # paid: its exchange is gone
                del group.core_ids[ticker]
                self._in_event.pop(ticker, None)
                self._account.group_of.pop((ticker, number), None)
                continue
            account = event.live.first_outside + group.subaccount
            with self._venue.outside(event) as exchange:
                getattr(exchange, act)(account, number, self._venue.core_ns(event))

    def _require_open(self, group: OrderGroup) -> None:
        """Refuse to change a group whose shard is fully paused: its copies could not follow."""
        if self._venue.shard_status[group.exchange_index] == "FULL_PAUSE":
            raise ApiError(409, "exchange_is_paused", "exchange is paused", group.group_id)

    def _tell(self, group: OrderGroup, what: str) -> None:
        self._venue.feed.group(group, what, self._venue.clock.now_ns)


def _require_limit(limit_e2: int) -> None:
    if not LEAST_E2 <= limit_e2 <= MOST_E2 or limit_e2 % 100:
        raise invalid("the limit is no whole number of 1 to 1,000,000 contracts")
