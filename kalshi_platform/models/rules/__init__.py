"""Rules written by hand: policies with which a trained one is compared, and the filter before any policy.

Not here   trained networks (networks/). Begin reading at baselines.py or trading_filter.py.
"""

__all__ = ["baselines", "filter_inputs", "filtered", "public_book", "trading_filter"]
