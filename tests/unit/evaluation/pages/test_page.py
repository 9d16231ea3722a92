"""The kit of pages: one frame, one style, both files whole."""

import json
import re
import sys

import pytest
from jinja2 import UndefinedError
from made.pages import sound_page

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import StorageError
from kalshi_platform.evaluation.pages.head import PageHead
from kalshi_platform.evaluation.pages.page import render, write_html_and_json

HEAD = PageHead(kind="Kind", name="<b>", data="3 events in 3 blocks recorded")


class Record(Config):
    value: float


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with one template, for as long as the test runs."""
    (tmp_path / "some_pages" / "templates").mkdir(parents=True)
    (tmp_path / "some_pages" / "__init__.py").touch()
    (tmp_path / "some_pages" / "templates" / "one.html.j2").write_text(
        "{% extends 'page.html.j2' %}{% from 'kit.html.j2' import section, table, fact %}"
        "{% block main %}{% call section('One & two') %}"
        "<p>{{ value | percent }} {{ value | loud }} {{ name }}</p>"
        "{% call table('What', ['<ECE', 'n']) %}<tr><th scope='row'>a</th><td>1</td></tr>{% endcall %}"
        "{% endcall %}{% call section('One & two') %}{{ fact('digest', 'x') }}{% endcall %}{% endblock %}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "some_pages"
    sys.modules.pop("some_pages", None)


def test_a_page_has_the_frame_the_style_the_formats_and_its_own_filters(package):
    page = render(package, "one.html.j2", HEAD, {"loud": lambda v: f"{v}!"}, name="<i>", value=0.5)
    assert page.startswith("<!doctype html>")
    assert "<title>&lt;b&gt; · Kind</title>" in page
    assert "--card" in page
    assert "<p>50 % 0.5! &lt;i&gt;</p>" in page


def test_sections_are_listed_tables_are_named_and_words_are_explained(package):
    tags = sound_page(render(package, "one.html.j2", HEAD, {"loud": str}, name="n", value=0.5))
    assert tags.headings == ["One & two", "One & two", "Words"]
    assert tags.ids == ["content", "one-two", "one-two-2", "words", "word-ece", "word-digest"]
    assert tags.links == [
        "#content", "#one-two", "#one-two-2", "#words", "#word-ece", "#word-digest",
    ]  # fmt: skip


def test_a_value_that_nobody_gave_raises(package):
    with pytest.raises(UndefinedError, match="name"):
        render(package, "one.html.j2", HEAD, {"loud": str}, value=0.5)


def test_the_page_and_its_figures_lie_side_by_side(tmp_path):
    html, beside = write_html_and_json(tmp_path / "new" / "some.html", "<p>", Record(value=0.5))
    assert html.read_text() == "<p>"
    assert (beside.name, json.loads(beside.read_text())) == ("some.json", {"value": 0.5})
    assert sorted(path.name for path in html.parent.iterdir()) == ["some.html", "some.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/some\.html could not be written.*choose another --out"):
        write_html_and_json(tmp_path / "file" / "some.html", "<p>", Record(value=0.5))


def luminance(colour):
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(package, mode):
    page = render(package, "one.html.j2", HEAD, {"loud": str}, name="n", value=0.5)
    palette = dict(
        re.findall(r"--(\w+): (#[0-9a-f]{6});", re.findall(r":root \{.*?\}", page, re.DOTALL)[mode])
    )
    for text in ("ink", "soft", "good", "bad", "warn", "link"):
        for behind in ("card", "page"):
            dim, bright = sorted((luminance(palette[text]), luminance(palette[behind])))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, behind)
