"""The list of a page's sections, gathered while its body is rendered, and the words that it must explain.

Owns       the anchor of every section, each used once; which words of WORDS the page used.
Not        the frame that shows both (templates/page.html.j2, templates/kit.html.j2).
"""

import re
from typing import Final, NamedTuple

from markupsafe import Markup

#: Word -> what it means, for a reader who trades but never saw this program. A page that uses one in the head
#: of a table or as a fact's name links it to a list at the page's end.
WORDS: Final = {
    "block": (
        "One independent observation: the events that share a factor, such as the weather of a day. "
        "A simulated event is a block of its own."
    ),
    "mean return and interval": (
        "Mean over blocks of profit after fees, in % of the capital an episode begins with; in "
        "brackets the range that holds the true mean with the page's confidence."
    ),
    "mean step Sharpe": (
        "Mean reward of a step divided by its standard deviation, over the steps of an episode; "
        "then the mean over markets. Not scaled to a year."
    ),
    "step Sharpe": ("Mean reward of a step divided by its standard deviation, over the steps of an episode."),
    "Sharpe a block": "Mean return of a block divided by the standard deviation over blocks.",
    "consistency": (
        "1 - (standard deviation / |mean return|) over a market's plays: 1 = every play alike, "
        "below 0 = the spread is wider than the mean."
    ),
    "consistency across markets": (
        "1 - (standard deviation / |mean return|) over markets: 1 = every market alike, below 0 = "
        "the spread is wider than the mean."
    ),
    "of the hindsight optimum": (
        "Profit as a share of the best one that anybody could have made with the same limits, had "
        "they known all prices beforehand."
    ),
    "fill rate": "Contracts traded as a share of the contracts ordered.",
    "turnover a seed": "Money that changed hands in fills, for one seed of the evaluation.",
    "max drawdown": "Deepest fall of the mean equity curve from a peak, in % of capital.",
    "provenance": (
        "How a market became known: recorded, quotes, trade_implied (a book inferred from trades) "
        "or simulated."
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
        "Kullback-Leibler divergence from the model's action probabilities, on states kept out of "
        "the student's training; 0 = alike."
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
}


class Section(NamedTuple):
    """One entry of the list: its anchor and its heading."""

    id: str
    title: str


class Contents:
    """Sections and words of one page, in the order in which it used them."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.words: dict[str, str] = {}

    def add(self, title: str) -> str:
        """Take in a section; returns its anchor, made of its heading."""
        stem = slug(title)
        taken = {section.id for section in self.sections}
        anchor = stem
        k = 2
        while anchor in taken:
            anchor, k = f"{stem}-{k}", k + 1
        self.sections.append(Section(anchor, title))
        return anchor

    def word(self, text: str) -> Markup:
        """``text``, linked to its meaning at the page's end where WORDS holds it."""
        meaning = WORDS.get(text)
        if meaning is None:
            return Markup("{}").format(text)
        self.words[text] = meaning
        return Markup('<a class="word" href="#word-{}" title="{}">{}</a>').format(slug(text), meaning, text)


def slug(text: str) -> str:
    """Anchor made of ``text``: its small letters and digits, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())) or "section"
