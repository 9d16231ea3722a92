"""One HTML file that opens anywhere and the same figures as JSON beside it: how every page is made.

Owns   the frame and the style that pages share, the filters of their templates, writing both files whole.
Not    any figure nor any template of one page: those stand beside what they show.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.evaluation.pages.contents import Contents, slug
from kalshi_platform.evaluation.pages.formats import (
    blocks_text,
    dollars,
    interval_text,
    ms,
    percent,
    probability,
    ratio,
    severity,
    share,
    utc,
)
from kalshi_platform.evaluation.pages.head import PageHead
from kalshi_platform.evaluation.pages.neighbours import link_neighbours
from kalshi_platform.storage.whole_file import write_whole

Filters = Mapping[str, Callable[..., str]]
_FILTERS: Final[Filters] = MappingProxyType(
    {
        "percent": percent,
        "probability": probability,
        "share": share,
        "severity": severity,
        "interval": interval_text,
        "dollars": dollars,
        "ms": ms,
        "utc": utc,
        "ratio": ratio,
        "blocks_text": blocks_text,
        "slug": slug,
    }
)


def render(
    package: str, template: str, head: PageHead, filters: Filters = MappingProxyType({}), **values: Any
) -> str:
    """The page of a ``template`` in ``package``, everything escaped; nothing in it is fetched when it opens.

    ``filters`` come beside those of ``formats.py``. A value that the template names and nobody gave raises.
    The page begins with ``head`` and the list of its sections, and ends with the words that it used.
    """
    loaders = [PackageLoader(each, "templates") for each in (package, "kalshi_platform.evaluation.pages")]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({**_FILTERS, **filters})
    contents = Contents()
    environment.globals["contents"] = contents  # macros, which see no values of the page, add to it
    return environment.get_template(template).render(head=head, **values)


def write_html_and_json(path: Path, html: str, record: BaseModel) -> tuple[Path, Path]:
    """Write the page to ``path`` and ``record`` as JSON beside it; returns both paths.

    The page and its neighbours link each other. StorageError where one cannot be written.
    """
    beside = path.with_suffix(".json")
    for place, text in ((path, html), (beside, record.model_dump_json(indent=1) + "\n")):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, text)
        except OSError as err:
            raise StorageError(
                f"{place} could not be written: {err}; free space or choose another --out"
            ) from err
    link_neighbours(path)
    return path, beside
