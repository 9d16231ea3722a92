"""TensorBoard behind a check of the Host header."""

import pytest

from kalshi_platform.cli.curves_server import for_own_names


def asked(host):
    said = []

    def app(environ, start):
        start("200 OK", [])
        return [b"curves"]

    environ = {} if host is None else {"HTTP_HOST": host}
    body = b"".join(for_own_names(app)(environ, lambda status, headers: said.append(status)))
    return said[0], body


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:6006", "localhost:6006", "[::1]:6006", "[::1]"])
def test_names_of_this_machine_are_answered(host):
    assert asked(host) == ("200 OK", b"curves")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:6006", "127.0.0.1.evil.example", "localhost@evil.example", "", None],
)
def test_another_name_sees_nothing(host):
    status, body = asked(host)
    assert status.startswith("403")
    assert b"curves" not in body
