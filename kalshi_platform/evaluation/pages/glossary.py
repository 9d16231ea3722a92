"""Words of the pages and their meanings, for a reader who trades but never saw this program.

A page that uses one in the head of a table or as a fact's name links it to a list at its end (contents.py).
Words of the whole house are in docs/words.md; here are those that stand on pages without an explanation.
"""

from typing import Final

#: Word -> its meaning, one or two sentences.
WORDS: Final = {
    "block": (
        "One independent observation: the events that share a factor, such as the weather of a day. A "
        "simulated event is a block of its own."
    ),
    "mean return and interval": (
        "Mean over blocks of profit after fees, in % of the capital an episode begins with; in "
        "brackets the range that holds the true mean with the page's confidence."
    ),
    "mean step Sharpe": (
        "Mean reward of a step divided by its standard deviation, over the steps of an episode; then "
        "the mean over markets. Not scaled to a year."
    ),
    "step Sharpe": ("Mean reward of a step divided by its standard deviation, over the steps of an episode."),
    "Sharpe a block": "Mean return of a block divided by the standard deviation over blocks.",
    "consistency": (
        "1 - (standard deviation / |mean return|) over a market's plays: 1 = every play alike, below "
        "0 = the spread is wider than the mean."
    ),
    "consistency across markets": (
        "1 - (standard deviation / |mean return|) over markets: 1 = every market alike, below 0 = the "
        "spread is wider than the mean."
    ),
    "of the hindsight optimum": (
        "Profit as a share of the best one that anybody could have made with the same limits, had "
        "they known all prices beforehand."
    ),
    "fill rate": "Contracts traded as a share of the contracts ordered.",
    "turnover a seed": "Money that changed hands in fills, for one seed of the evaluation.",
    "max drawdown": "Deepest fall of the mean equity curve from a peak, in % of capital.",
    "provenance": (
        "How a market became known: recorded, quotes, trade_implied (a book inferred from trades) or "
        "simulated."
    ),
    "schedule": (
        "What is played: markets (every market alone, its whole life), events (the markets of an "
        "event together) or windows (random stretches of each market)."
    ),
    "ECE": (
        "Expected calibration error: mean gap between how sure a tier says it is and how often it is right."
    ),
    "temperature": ("Number that a tier's outputs are divided by, fitted so that its confidence is honest."),
    "exit at": "Confidence from which a tier answers itself instead of asking the next one.",
    "decides": "Share of the groups of markets that this tier answers.",
    "agrees": "Share of the actions that are the ones the model itself (tier 3) would take.",
    "return kept": ("Return of the cascade divided by the return of the model alone, on the same episodes."),
    "KL, nats": (
        "Kullback-Leibler divergence: how far two networks' action probabilities differ; 0 = alike."
    ),
    "held-out KL, nats": (
        "Kullback-Leibler divergence from the model's action probabilities, on states kept out of the "
        "student's training; 0 = alike."
    ),
    "form": "One way to run a network: plain PyTorch, compiled, ONNX or quantised to 8 bits.",
    "runs as": "Form in which the network is run: plain PyTorch, compiled, ONNX or quantised to 8 bits.",
    "digest": "First 12 hex digits of a sha256: equal digests mean equal content.",
    "dataset digest": "First 12 hex digits of the sha256 of the dataset: equal digests mean equal data.",
    "feature table": (
        "Digest of the list of features: a model can be played only on the table it learned from."
    ),
    "level": "Size of the policy network: tiny, simple, moderate, advanced, complex.",
    "p99": "Time that 99 of 100 answers do not exceed.",
    "p50": "Median time: half of the answers are quicker.",
    "p99.9": "Time that 999 of 1,000 answers do not exceed.",
    "trade rate": "Share of the decisions that sent an order.",
    "interquartile mean and interval": (
        "Mean of the middle half: the best and the worst quarter are left out."
    ),
    "judging half": (
        "The half of the validation blocks that chose nothing: exits were chosen on the other half, "
        "the calibrating one."
    ),
    "deflated Sharpe ratio": (
        "Probability that the winner's Sharpe ratio is above what the best of as many worthless "
        "trials would show by luck."
    ),
    "probability of backtest overfitting": (
        "How often the trial that is best on one half of the blocks is below the median on the other half."
    ),
    "effective number of trials": (
        "Trials that are alike count as one: as many independent chances to be lucky."
    ),
    "lineage": "Datasets that this one grew from, and which of them taught the policy.",
    "books_ended": (
        "Order books that contradicted the trades, tickers or themselves: a gap until the next proof."
    ),
    "crossed_transient": "Books that were crossed (bid at or above ask) for less than 50 ms.",
    "sequence_gaps": (
        "Places where messages of the exchange were lost: the book is unknown until its next snapshot."
    ),
    "rows_refused": "Rows of the recording that could not be true, and were left out.",
    "markets_put_aside": "Markets that are in the recording but not in the dataset.",
    "takers_from_price_moves": (
        "Trades whose taker the source does not name: taken from the move of the price."
    ),
    "takers_assumed_yes": "Trades whose taker nothing tells: YES was assumed.",
    "close_assumed_known_since_open": (
        "Markets whose close was told without saying since when it was known."
    ),
    "fees:assumed": (
        "Markets whose fees no source tells: the exchange's defaults for the series were assumed."
    ),
    "fees:assumed_since_open": (
        "Markets whose fees were told without saying since when: they count from the market's opening."
    ),
    "events_of_train_judged": (
        "Judged events that taught the policy, or may have: its result there proves nothing."
    ),
}
