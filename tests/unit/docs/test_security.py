"""The page of attacks: every test that it names exists, every default that it tells is the settings' own."""

import ast
import re
from pathlib import Path

import pytest

from kalshi_platform.serving.server.args import LimitArgs, PolicyAppArgs

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()
FINDINGS = ["H1", "H2a", "H2b", "H2c", "H3", "H4", "H5", "H6", *(f"M{n}" for n in range(1, 10)),
            *(f"L{n}" for n in range(1, 12))]  # fmt: skip


def named() -> list[tuple[str, tuple[str, ...]]]:
    """Files and names of tests in the page's tables; a name that begins with :: is of the file before it."""
    found, file = [], ""
    for word in re.findall(r"`((?:(?:unit|integration)/\S+\.py)?(?:::\w+)*)`", PAGE):
        path, *names = word.split("::")
        file = path or file
        if file:
            found.append((file, tuple(names)))
    return found


@pytest.mark.parametrize(("file", "names"), named(), ids=lambda each: str(each)[-60:])
def test_every_test_that_the_page_names_is_there(file: str, names: tuple[str, ...]):
    nodes = ast.parse((ROOT / "tests" / file).read_text()).body
    for name in names:
        (node,) = [each for each in nodes if getattr(each, "name", None) == name]
        nodes = getattr(node, "body", [])


def test_the_page_has_a_line_for_every_finding():
    assert re.findall(r"(?m)^\| ([HML]\d+[abc]?) \|", PAGE) == FINDINGS
    assert len(named()) > 40


def test_every_setting_and_default_of_the_page_is_the_settings_own():
    limits = LimitArgs()
    told = {
        "proxy.header_s": "5 s", "proxy.per_address": "1,024", "arriving.body_s": "5 s",
        "rates": "200/s, 400 at once", "sockets.idle_s": "15 min", "sockets.unread_s": "10 s",
        "frames": "2,000/s, 4,000 at once", "message_chars": "2 MiB",
    }  # fmt: skip
    rows = dict(re.findall(r"(?m)^\| `([\w.]+)`[^|]*\| ([^|]+?) \|", PAGE))
    assert told.items() <= rows.items()
    assert (limits.proxy.header_s, limits.proxy.per_address, limits.arriving.body_s) == (5, 1_024, 5.0)
    assert (limits.proxy.idle_s, limits.proxy.silent_s) == (30, 60)
    assert (limits.body_bytes, limits.message_chars, limits.groups) == (4 * 2**20, 2 * 2**20, 128)
    assert (limits.rates.rate_per_s, limits.rates.burst) == (200, 400)
    assert (limits.frames.rate_per_s, limits.frames.burst) == (2_000, 4_000)
    assert (limits.work.rate_per_s, limits.work.burst) == (250_000, 500_000)
    assert (limits.deciding.rate_per_s, limits.deciding.burst) == (500_000, 1_000_000)
    assert (limits.arriving.bodies, limits.arriving.bytes) == (100, 64 * 2**20)
    assert (limits.sockets.open_s, limits.sockets.unopened) == (5.0, 32)
    assert (limits.sockets.idle_s, limits.sockets.unread_s) == (900.0, 10.0)
    assert (limits.streams.max_sessions, limits.streams.max_of_one) == (64, 32)
    assert PolicyAppArgs.parse({"access": {"require_token": False}}).max_ongoing_requests == 100
