"""Units, market specification, fees, errors, base config; imports nothing of ours."""
