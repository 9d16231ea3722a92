"""Addresses in messages: users and passwords are hidden, scheme and host stay."""

import time

import pytest

from kalshi_platform.domain.hidden_user import holds_password, shown_address, without_users


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://u:PW@host:6379", "redis://...@host:6379"),
        ("u:PW@host:8265", "...@host:8265"),
        ("http://u:S3/CR@ETPW@host:8265", "http://...@host:8265"),
        ("http://TOKEN@host:8265", "http://...@host:8265"),
        ("S3://KEY:S3CRET@bucket/x", "S3://...@bucket/x"),
        ("s3:/KEY:S3CRET@bucket", "s3:/...@bucket"),
        ("http://u:P\nW@host", "http://...@host"),
        ("http://127.0.0.1:8265", "http://127.0.0.1:8265"),
        ("/data/set", "/data/set"),
    ],
)
def test_all_before_the_last_at_sign_is_hidden_but_the_scheme(address, shown):
    assert shown_address(address) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--url 'http://u:PW@host/x': no", "--url 'http://...@host/x': no"),
        ("url = 'http://u:S3/CR@PW@host/x': no", "url = 'http://...@host/x': no"),
        ("'http://h:80', then mm@2026", "'http://h:80', then mm@2026"),
        ("http://h:80: x@y", "http://h:80: x@y"),
        ("--out s3:/K:S3/CRET@bucket/x is an address", "--out s3:/...@bucket/x is an address"),
        ("in s3:/bucket/mm@2026", "in s3:/bucket/mm@2026"),
        ("a://me@b and c://u:p@q@d", "a://...@b and c://...@d"),
        ("s3://bucket/models/mm@2026 has none", "s3://bucket/models/mm@2026 has none"),
        ("http://h:80/models/mm@2026 has none", "http://h:80/models/mm@2026 has none"),
        ("redis://me:12345,abc@host: no", "redis://...@host: no"),
        ("redis://me:2024:abc@host: no", "redis://...@host: no"),
        ("--runs=redis:/me:PW@host/x is an address", "--runs=redis:/...@host/x is an address"),
        ("no /srv:/data:/mnt/store@v2 here", "no /srv:/data:/mnt/store@v2 here"),
        ("models:/kalshi@champion is unknown", "models:/kalshi@champion is unknown"),
    ],
)
def test_users_within_a_text_are_hidden_and_paths_stay(text, shown):
    assert without_users(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "x=http://u:PW@h", "http://u:S3/CR@h", "postgresql://u:12@h", "a://:p@h", "redis://me:12345,abc@h:6379",
        "redis://me:2024:abc@h", "redis://me:12345#abc@h", "redis://me:123/abc@h", "redis://me:1'2\")@h",
    ],
)  # fmt: skip
def test_a_password_is_found(text):
    assert holds_password(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://h:80/x", "http://h:80, then x@y", "s3://bucket/a:b@c", "http://[::1]:80/x@y", "u:p@h",
        "/srv:/data:/mnt/store@v2", "/a:/b:/c@d", "models:/kalshi@champion", "http://me@h:80/x",
    ],
)  # fmt: skip
def test_a_port_and_a_path_are_no_password(text):
    assert not holds_password(text)


@pytest.mark.parametrize(
    "part", ["://a:b", "://a:80/", "redis:/a:", "@://a:", ":/", "://", "a", "1", " a://b:c"]
)
@pytest.mark.parametrize("end", ["", "@", "@ "])
def test_a_long_text_is_read_once_whatever_it_repeats(part, end):
    text = end + part * (400_000 // len(part)) + end
    began = time.process_time()
    without_users(text)
    holds_password(text)
    assert time.process_time() - began < 5  # read again at every part, it takes minutes
