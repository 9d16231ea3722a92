"""Risk limits, order state machine, journal, live and paper sessions."""
