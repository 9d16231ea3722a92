"""One entry for every command: checks numbers at the boundary, lets the clock come, does it, answers.

numba checks no index: a market or account that does not exist must not get past this file.
"""

from typing import Any

from kalshi_platform.domain.compiled import inner_kernel, kernel
from kalshi_platform.simulation.matching import (
    changes,
    entry,
    groups,
    lifecycle,
    money,
    reasons,
    tape,
)
from kalshi_platform.simulation.matching import (
    command as c,
)
from kalshi_platform.simulation.matching.records import FULL_PAUSE, NEVER_NS, NONE


@inner_kernel
def has_room(core: Any) -> bool:
    """True where the tape has room for every row that one command may write."""
    state = core.state[0]
    most = 2 * state.n_open + core.wallets.shape[0] + 2 * core.markets.size + core.groups.size + 16
    return core.tape.size - (state.written - state.read) >= most


@inner_kernel
def _bounds(core: Any, command: Any) -> int:
    """OK where market, shards and account of the command exist, else the reason."""
    op = command.op
    if not 0 <= op < c.N_OPS:
        return reasons.UNKNOWN_COMMAND
    if op == c.WAIT:
        return reasons.OK
    by_exchange = c.MARKET_STATUS <= op <= c.SETTLE or op == c.MARKET_FLOOR
    if not by_exchange and not 0 <= command.account < core.wallets.shape[0]:
        return reasons.UNKNOWN_ACCOUNT
    names_shard = op in (c.GROUP_CREATE, c.DEPOSIT, c.TRANSFER, c.SHARD_STATUS)
    names_market = op in (c.SUBMIT, c.AMEND) or (by_exchange and op != c.SHARD_STATUS)
    names_market = names_market or (op == c.CANCEL and command.market != NONE)
    size = core.shards.size if names_shard else core.markets.size
    if (names_shard or names_market) and not 0 <= command.market < size:
        return reasons.UNKNOWN_MARKET
    if op == c.TRANSFER and not 0 <= command.price_e4 < size:
        return reasons.UNKNOWN_MARKET
    return reasons.OK


@inner_kernel
def _group_command(core: Any, command: Any, answer: Any) -> int:
    """Create, change, trigger, reset or delete an order group."""
    op = command.op
    limits = op in (c.GROUP_CREATE, c.GROUP_LIMIT)
    if limits and not groups.is_limit(command.qty_e2):
        return reasons.INVALID_ORDER_GROUP_LIMIT
    if op == c.GROUP_CREATE:
        slot = groups.create_group(core, command.account, command.market, command.qty_e2)
        if slot == NONE:
            return reasons.CORE_FULL
        answer.order_id = core.groups[slot].group_id
        return reasons.OK
    slot = groups.find_group(core, command.group_id, command.account)
    if slot == NONE:
        return reasons.ORDER_GROUP_NOT_FOUND
    group = core.groups[slot]
    if core.shards[group.shard].status == FULL_PAUSE:
        return reasons.EXCHANGE_PAUSED
    answer.order_id = group.group_id
    groups.drop_old_matches(core, slot)
    if op == c.GROUP_LIMIT:
        group.limit_e2 = command.qty_e2
        groups.tell_group(core, slot, tape.GROUP_LIMIT_SET)
        if group.rolling_e2 > group.limit_e2 and group.triggered == 0:
            groups.trigger(core, slot)
    elif op == c.GROUP_RESET:
        group.triggered = 0
        groups.forget_matches(core, slot)
        groups.tell_group(core, slot, tape.GROUP_RESET)
    else:
        groups.trigger(core, slot)
        if op == c.GROUP_DELETE:
            groups.tell_group(core, slot, tape.GROUP_DELETED)
            group.group_id = NONE
    return reasons.OK


@inner_kernel
def _order_command(core: Any, command: Any, answer: Any) -> int:
    op = command.op
    if op == c.SUBMIT:
        return entry.submit(core, command, answer)
    if op == c.CANCEL:
        return changes.cancel(core, command, answer)
    if op == c.AMEND:
        return changes.amend(core, command, answer)
    if op == c.CANCEL_ALL:
        return changes.cancel_all(core, command, answer)
    return changes.decrease(core, command, answer)


@inner_kernel
def _exchange_command(core: Any, command: Any) -> int:
    op, market = command.op, command.market
    if op == c.DEPOSIT:
        return money.deposit(core, command.account, market, command.amount_e6)
    if op == c.TRANSFER:
        return money.transfer(core, command.account, market, command.price_e4, command.amount_e6)
    if op == c.MARKET_STATUS:
        return lifecycle.set_market_status(core, market, command.status)
    if op == c.MARKET_CLOSE_AT:
        return lifecycle.set_close(core, market, command.expiry_ns)
    if op == c.SHARD_STATUS:
        return lifecycle.set_shard_status(core, market, command.status)
    if op == c.SETTLE:
        return money.settle(core, market, command.price_e4)
    if op == c.MARKET_FLOOR:
        return money.raise_floor(core, market, command.price_e4)
    if op == c.MARKET_GRID:  # whoever wrote the new bands
        tape.new_row(core, tape.GRID, market, NONE)
    return reasons.OK


@inner_kernel
def execute(core: Any, command: Any, answer: Any) -> int:
    """Do one command and answer it; returns OK or the reason, as the answer does.

    A refusal changes nothing but the clock.
    """
    answer.order_id = NONE
    answer.filled_e2 = 0
    answer.left_e2 = 0
    answer.reduced_e2 = 0
    answer.ended = reasons.OK
    reason = reasons.TAPE_FULL
    if command.time_ns >= NEVER_NS:
        reason = reasons.INVALID_TIME  # the clock would wait for ever for what is due then
    elif has_room(core):
        if command.time_ns > core.state[0].now_ns:
            lifecycle.advance(core, command.time_ns)
        reason = reasons.OK if has_room(core) else reasons.TAPE_FULL
        if reason == reasons.OK:
            reason = _bounds(core, command)
        if reason == reasons.OK and command.op != c.WAIT:
            if command.op <= c.CANCEL_ALL:
                reason = _order_command(core, command, answer)
            elif command.op <= c.GROUP_DELETE:
                reason = _group_command(core, command, answer)
            else:
                reason = _exchange_command(core, command)
    answer.reason = reason
    return reason


@kernel
def execute_all(core: Any, commands: Any, answers: Any) -> int:
    """Do the commands (n,) in order; returns how many were done before the tape was full."""
    for i in range(commands.size):
        if execute(core, commands[i], answers[i]) == reasons.TAPE_FULL:
            return i
    return commands.size
