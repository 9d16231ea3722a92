"""Ray Tune experiments: one file per question asked of the data."""

import sys

from kalshi_platform.domain.ending import end_in_words
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.extras import require_extras

if sys.argv[:1] == ["-m"]:  # "python -m tune_experiments.NAME" begins here; no worker of Ray and no test does
    end_in_words()

try:
    require_extras("an experiment", "train", "serve", "track")
except ContractError as refusal:  # before an experiment imports Ray Tune, which would end in a stack trace
    print(f"kalshi-platform: {refusal}", file=sys.stderr)
    raise SystemExit(int(refusal.exit_code)) from None
