"""REST without writes: the only transport that a paper session has."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.exchange.rest import Answer, Params, RestTransport


class ReadOnlyTransport(RestTransport):
    """Transport that refuses every write before anything is signed or sent."""

    async def write(
        self,
        method: str,
        endpoint: str,
        values: Mapping[str, str],
        body: Mapping[str, Any] | None,
        read: Callable[[AnswerFields], Answer],
        *,
        params: Params | None = None,
        cost: int | None = None,
        shard: int | None = None,
        hindrance: Callable[[], str] = lambda: "",
    ) -> NoReturn:
        """Refuse."""
        raise ContractError(f"{method} {endpoint}: a paper session sends nothing that changes an account")
