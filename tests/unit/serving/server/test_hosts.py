"""The Host header: a page that pointed its own name at this machine reads nothing."""

import pytest
from made.serving_app import App, refused

from kalshi_platform.serving.server.gate import AccessArgs
from kalshi_platform.serving.server.hosts import name_in, require_host
from kalshi_platform.serving.server.problems import Problem

OPEN = AccessArgs(require_token=False)


def asked(access, host):
    require_host(access, {"headers": [(b"host", host.encode())] if host else []})


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000", "192.0.2.7", ""]
)
def test_an_address_localhost_and_no_name_are_answered(host):
    asked(OPEN, host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:80", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80",
        "[127.0.0.1]evil.example", "[::1]evil.example:80", "[localhost]", "[::1", "user@127.0.0.1",
    ],
)  # fmt: skip
def test_any_other_name_is_refused_where_no_token_is_required(host):
    with pytest.raises(Problem, match="not asked by the name") as refusal:
        asked(OPEN, host)
    assert (refusal.value.status, refusal.value.kind) == (421, "host")


def test_a_name_of_the_settings_is_answered_and_with_tokens_every_name():
    asked(AccessArgs(require_token=False, hosts=("policy.internal",)), "policy.internal:8000")
    asked(AccessArgs(token_env="TOKENS"), "evil.example")


@pytest.mark.parametrize(("host", "name"), [("A.example:80", "a.example"), ("[::1]:80", "::1"), ("b", "b")])
def test_a_port_is_no_part_of_the_name(host, name):
    assert name_in(host) == name


@pytest.mark.parametrize("path", ["/v1/model", "/v1/example", "/openapi.json", "/v1/readyz", "/docs", "/"])
def test_a_rebound_page_reads_no_path(path):
    app = App()
    refused(app.client.get(path, headers={"Host": "evil.example"}), 421, "host", "host")
