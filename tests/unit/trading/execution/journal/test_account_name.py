"""The account's name: key and host, whatever the path."""

from kalshi_platform.trading.execution.journal.account_name import AccountName


def test_one_key_at_one_host_is_one_account():
    one = AccountName("k", "https://a.test/trade-api/v2")
    assert one.digest == AccountName("k", "https://a.test/other").digest
    assert one.digest != AccountName("k", "https://a.test:8443/trade-api/v2").digest
    assert one.digest != AccountName("j", "https://a.test/trade-api/v2").digest
    assert str(one) == "key k at a.test"
