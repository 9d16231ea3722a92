"""Token bucket in simulated time, of requests and of commands."""

from kalshi_platform.domain.units import NS_PER_SECOND


class RateBucket:
    """Tokens that come back with time; counted in 1e-9 token, so that nothing is rounded."""

    def __init__(self, rate: int, holds_s: int, now_ns: int) -> None:
        self.rate, self.capacity = rate, rate * holds_s
        self._left = self.capacity * NS_PER_SECOND
        self._at_ns = now_ns

    def has(self, tokens: int, now_ns: int) -> bool:
        """True where ``tokens`` could be taken now."""
        full = self.capacity * NS_PER_SECOND
        self._left = min(full, self._left + max(now_ns - self._at_ns, 0) * self.rate)
        self._at_ns = max(now_ns, self._at_ns)
        return self._left >= tokens * NS_PER_SECOND

    def take(self, tokens: int) -> None:
        """Take tokens that ``has`` has seen."""
        self._left -= tokens * NS_PER_SECOND
