"""Demo keys and signatures: what opens, and everything that does not."""

import stat
import time

import pytest
from made.raw_exchange import RawKey
from made.sim_server import demo_keys

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.simserver.auth import RequestAuth, UnsignedRequest
from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.keys import make_keys, read_keys

PATH = "/trade-api/v2/portfolio/balance"


@pytest.fixture
def auth():
    return RequestAuth(read_keys(demo_keys()), SimClock(None, 1.0))


@pytest.mark.parametrize("name", ["rsa", "ed25519"])
def test_a_signature_by_either_kind_of_key_opens(auth, name):
    key = RawKey(demo_keys(), name)
    assert auth.key_of(key.headers("GET", PATH), "GET", PATH).key_id == key.key_id


@pytest.mark.parametrize("name", ["rsa", "ed25519"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", PATH), ("GET", PATH + "?limit=1"), ("GET", "/balance")]
)
def test_a_signature_of_another_text_does_not(auth, name, method, path):
    headers = RawKey(demo_keys(), name).headers(method, path)
    with pytest.raises(UnsignedRequest, match="SIGNATURE"):
        auth.key_of(headers, "GET", PATH)
    assert auth.n_refused == 1


@pytest.mark.parametrize(
    ("off_ms", "opens"), [(-29_000, True), (29_000, True), (-31_000, False), (31_000, False)]
)
def test_a_timestamp_may_be_thirty_seconds_off(auth, off_ms, opens):
    now = int(time.time() * 1000)
    headers = RawKey(demo_keys()).headers("GET", PATH, now + off_ms)
    if opens:
        assert auth.key_of(headers, "GET", PATH)
    else:
        with pytest.raises(UnsignedRequest, match="expired"):
            auth.key_of(headers, "GET", PATH)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"KALSHI-ACCESS-KEY": "nobody"}, "NOT_FOUND"),
        ({"KALSHI-ACCESS-KEY": ""}, "missing"),
        ({"KALSHI-ACCESS-TIMESTAMP": "now"}, "INVALID"),
        ({"KALSHI-ACCESS-TIMESTAMP": "9" * 5_000}, "INVALID"),
        ({"KALSHI-ACCESS-SIGNATURE": "!!"}, "SIGNATURE"),
        ({"KALSHI-ACCESS-SIGNATURE": "AAAA"}, "SIGNATURE"),
    ],
)
def test_headers_that_are_wrong_are_refused(auth, change, words):
    headers = RawKey(demo_keys()).headers("GET", PATH) | change
    with pytest.raises(UnsignedRequest, match=words):
        auth.key_of(headers, "GET", PATH)


def test_private_keys_are_readable_by_their_owner_alone_and_never_overwritten(tmp_path):
    paths = make_keys(tmp_path / "k")
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths.values()] == [0o600] * 3
    assert "PRIVATE" not in (tmp_path / "k" / "keys.json").read_text()
    with pytest.raises(ContractError, match="holds keys already"):
        make_keys(tmp_path / "k")


def test_the_readers_key_may_read_and_no_other_is_so_bound():
    keys = read_keys(demo_keys()).values()
    assert {key.name: key.may_write for key in keys} == {"rsa": True, "ed25519": True, "reader": False}


def test_a_folder_without_keys_says_how_to_make_some(tmp_path):
    with pytest.raises(ContractError, match="simexchange keys --out"):
        read_keys(tmp_path)
