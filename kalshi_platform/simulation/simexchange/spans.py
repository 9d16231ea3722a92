"""How long all events of a simulated exchange may last: times of files are 64 bits of nanoseconds."""

from typing import Final

#: Longest time from the first opening to the last close: 200 years.
MAX_SPAN_S: Final = 200 * 365 * 86_400


def require_times(n_events: int, stagger_s: int, max_duration_s: int) -> None:
    """Refuse by ValueError events of which the last would close beyond the times that files can hold."""
    span_s = (n_events - 1) * stagger_s + max_duration_s
    if span_s > MAX_SPAN_S:
        raise ValueError(
            f"n_events={n_events:,} with stagger_s={stagger_s:,} and max_duration_s={max_duration_s:,} last "
            f"{span_s:,} s; at most {MAX_SPAN_S:,} s (200 years) have times"
        )
