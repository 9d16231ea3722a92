"""Error codes of the stream and what the client does about each; docs/exchange-client.md shows the table.

Owns   the reaction to every code that the exchange documents; a code that is not here is asked again later.
"""

from enum import Enum
from typing import Final


class Reaction(Enum):
    """Answer of the client to an error."""

    RESUBSCRIBE = "subscribe again"  # the subscription ended: its books are invalid
    LATER = "ask again later"  # the command was not carried out, and may be next time
    SPLIT = "ask for fewer markets"  # halves the batch until the market that spoils it stands alone
    GIVE_UP = "leave the channel"  # the same command fails always: until the next connection
    RECONNECT = "connect again"  # with a fresh signature


#: code -> (meaning, reaction). 6, 16 and 17 are retired.
STREAM_ERRORS: Final[dict[int, tuple[str, Reaction]]] = {
    1: ("cannot process", Reaction.LATER),
    2: ("params required", Reaction.GIVE_UP),
    3: ("channels required", Reaction.GIVE_UP),
    4: ("sids required", Reaction.GIVE_UP),
    5: ("unknown command", Reaction.GIVE_UP),
    7: ("unknown sid", Reaction.RESUBSCRIBE),
    8: ("unknown channel", Reaction.GIVE_UP),
    9: ("authentication required", Reaction.RECONNECT),
    10: ("channel error, terminal", Reaction.RESUBSCRIBE),
    11: ("invalid parameter", Reaction.SPLIT),
    12: ("exactly one sid", Reaction.GIVE_UP),
    13: ("unsupported action", Reaction.GIVE_UP),
    14: ("market ticker required", Reaction.SPLIT),
    15: ("action required", Reaction.GIVE_UP),
    18: ("command timeout", Reaction.LATER),
    19: ("shard_factor", Reaction.GIVE_UP),
    20: ("shard_factor", Reaction.GIVE_UP),
    21: ("shard_key", Reaction.GIVE_UP),
    22: ("shard_key", Reaction.GIVE_UP),
    23: ("match ids required", Reaction.GIVE_UP),
    24: ("index ids required", Reaction.GIVE_UP),
    25: ("subscription buffer overflow: the reader is too slow, terminal", Reaction.RESUBSCRIBE),
    26: ("market limit of a subscription", Reaction.SPLIT),
    27: ("command rate", Reaction.LATER),
    28: ("underlying tickers required", Reaction.GIVE_UP),
}


def reaction_to(code: int) -> Reaction:
    """Return the reaction to a code; LATER where nobody knows it."""
    known = STREAM_ERRORS.get(code)
    return Reaction.LATER if known is None else known[1]
