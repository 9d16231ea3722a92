"""End of a session at an exchange: orders that rest there then were told."""

import re
from collections.abc import Mapping, Sized

from kalshi_platform.trading.session.running import THE_END


def assert_rest_was_told(resting: Sized, problems: Mapping[str, str]) -> None:
    """Fail where more orders rest than the session's last words count; without such words none may.

    A session that got no answer to its cancels in time says how many orders may still rest.
    """
    told = re.match(r"orders that may still rest: (\d+), first in ", problems.get(THE_END, ""))
    assert told or THE_END not in problems, problems
    assert len(resting) <= (int(told[1]) if told else 0), (resting, problems)
