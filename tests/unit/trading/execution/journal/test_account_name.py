"""The account's name: key and host, whatever the path."""

from kalshi_platform.domain.config import digest_of
from kalshi_platform.trading.execution.journal.account_name import AccountName


def test_one_key_at_one_host_is_one_account():
    one = AccountName("k", "https://a.test/trade-api/v2")
    assert one.digest == AccountName("k", "https://a.test/other").digest
    assert one.digest != AccountName("k", "https://a.test:8443/trade-api/v2").digest
    assert one.digest != AccountName("j", "https://a.test/trade-api/v2").digest
    assert str(one) == "key k at a.test"


def test_an_account_has_one_name_however_its_exchange_is_spelt():
    urls = [
        "https://external-api.kalshi.com/trade-api/v2", "https://External-Api.kalshi.com/trade-api/v2",
        "https://external-api.kalshi.com:443/trade-api/v2", "https://api.elections.kalshi.com/trade-api/v2",
        "https://api.elections.kalshi.com./trade-api/v2",
    ]  # fmt: skip
    assert len({AccountName("k", url).digest for url in urls}) == 1
    assert AccountName("k", "http://127.0.0.1:80/x").host == "127.0.0.1"
    assert AccountName("k", "http://127.0.0.1:443/x").host == "127.0.0.1:443"


def test_the_demonstration_and_this_machine_have_one_name_each_and_every_port_its_own():
    demo = [
        "https://external-api.demo.kalshi.co/v2",
        "https://Demo-API.kalshi.co/v2",
        "https://demo-api.kalshi.co:443",
    ]
    here = [
        "http://127.0.0.1:8080/x",
        "http://localhost:8080/",
        "http://[::1]:8080",
        "http://LOCALHOST.:8080/x",
    ]
    assert {AccountName("k", url).host for url in demo} == {"external-api.demo.kalshi.co"}
    assert {AccountName("k", url).host for url in here} == {"127.0.0.1:8080"}
    assert AccountName("k", "http://localhost:8081").host == "127.0.0.1:8081"
    assert [AccountName("k", url).is_here for url in (here[2], demo[0])] == [True, False]


def test_the_usual_spellings_keep_their_digests_and_others_are_known_as_former_ones():
    """Journals, locks and notes of before are named by the digest of key and host as it was spelt then."""
    here, demo = (AccountName("k", url) for url in ("http://127.0.0.1:8080", "https://demo-api.kalshi.co"))
    assert here.digest == digest_of(["k", "127.0.0.1:8080"])
    assert set(here.former_digests) == {digest_of(["k", host]) for host in ("localhost:8080", "::1:8080")}
    assert demo.digest == digest_of(["k", "external-api.demo.kalshi.co"])
    assert digest_of(["k", "demo-api.kalshi.co"]) in demo.former_digests
    assert digest_of(["k", "127.0.0.7"]) in AccountName("k", "http://127.0.0.7").former_digests
    for url in ("https://external-api.kalshi.com/x", "https://a.test/x"):
        assert AccountName("k", url).former_digests == ()
