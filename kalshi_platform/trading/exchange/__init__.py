"""Client of the exchange: signatures, REST, WebSocket. It does not know which server answers.

Begin reading at sink.py, what a caller receives.
Not here   decoding of frames (data/market_data, the one door), files (trading/recorder).
"""

__all__ = [
    "account_answers",
    "account_calls",
    "addresses",
    "buckets",
    "clock",
    "coverage",
    "coverage_facts",
    "decoding",
    "fields",
    "http_pool",
    "new_orders",
    "order_calls",
    "outcomes",
    "pages",
    "public_answers",
    "public_calls",
    "rest",
    "signing",
    "sink",
    "skew",
    "stream_settings",
    "websocket",
]
