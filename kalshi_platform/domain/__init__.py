"""Domain: units, market specification, fees, errors, base config; imports nothing of ours.

Not here   files (storage/) and messages of the exchange (data/). Begin reading at units.py and market.py.
"""
