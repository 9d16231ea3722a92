"""The account's name: key and host, whatever the path."""

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
