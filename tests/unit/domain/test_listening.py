"""Ports of processes, and which of them other machines reach."""

import socket

import psutil

from kalshi_platform.domain.listening import MOST_CHARACTERS, Listener, listeners, words


def test_a_port_of_this_process_is_found_with_its_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = [each for each in listeners([psutil.Process()]) if each.port == port]
        assert (found.address, found.is_loopback) == ("127.0.0.1", True)
        assert f"127.0.0.1:{port} {psutil.Process().name()}" in words([found])


def test_an_address_of_all_interfaces_is_no_loopback():
    assert not Listener("0.0.0.0", 1, "x", 1).is_loopback
    assert not Listener("::", 1, "x", 1).is_loopback
    assert Listener("::1", 1, "x", 1).is_loopback


def test_many_ports_are_cut_and_the_rest_is_counted():
    many = [Listener("0.0.0.0", port, "ray::ProxyActor", 1) for port in range(40_000, 40_100)]
    text = words(many)
    assert len(text) < MOST_CHARACTERS + 50
    shown = text.count("0.0.0.0:")
    assert text.startswith("0.0.0.0:40000 ray::ProxyActor, 0.0.0.0:40001 ")
    assert text.endswith(f", and {100 - shown} more (`ss -ltnp` lists all)")
    assert shown > 5


def test_a_few_ports_are_all_told_and_none_is_nothing():
    few = [Listener("127.0.0.1", 8_000, "haproxy", 1), Listener("127.0.0.1", 8_001, "raylet", 2)]
    assert words(few) == "127.0.0.1:8000 haproxy, 127.0.0.1:8001 raylet"
    assert words([]) == "nothing"
