"""Workflows that string the wings together: quickstart, progressive, publish.

Not here   the steps themselves: each calls a wing. Begin reading at quickstart.py.
"""
