"""Small tiers made from a registered model: replayed states, students, calibration, exits, report.

Not here   deciding with the tiers (serving/inference). Begin reading at build.py.
"""
