"""The head of a page: what it is about, which data stands behind it, and who made it when.

Owns       PageHead. The frame (templates/page.html.j2) shows one on every page, in one order.
Not        the links to other pages (neighbours.py) and the list of sections (contents.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kalshi_platform.domain.commit import Stamp


@dataclass(frozen=True)
class PageHead:
    """First lines of a page.

    ``kind`` is the kind of page ("Evaluation"); ``name`` is what no other page of that kind is about;
    ``facts`` are name -> value, in this order; ``data`` says which data judged, simulated or recorded.
    """

    kind: str
    name: str
    data: str
    facts: Mapping[str, str] = field(default_factory=dict)
    made: Stamp | None = None

    @property
    def is_simulated(self) -> bool:
        """True where simulated data is behind the page, or nobody knows which."""
        return "simulated" in self.data or "unknown" in self.data

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Facts that have a value, then who made the page's figures and when, or that nobody knows it."""
        known = [(name, value) for name, value in self.facts.items() if value]
        if self.made is not None:
            return [*known, ("made", self.made.when), ("program", self.made.program)]
        return (
            known if any(name in ("made", "started") for name, _ in known) else [*known, ("made", "unknown")]
        )


def of_path(path: str) -> str:
    """Last two parts of a path or address: enough to know a run or a dataset by; "" stays empty."""
    return "/".join([part for part in path.rstrip("/").split("/") if part][-2:])
