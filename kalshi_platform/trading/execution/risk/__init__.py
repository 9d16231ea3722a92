"""Limits that hold before every order, the losses they watch, and the switch that stops trading.

Begin reading at gate.py, every check of one order; limits.py has the settings.
Not here   the switch between modes (control.py), the account (orders/).
"""

__all__ = ["exposure", "gate", "limits", "losses", "market_at_order", "modes", "pace", "refusals"]
