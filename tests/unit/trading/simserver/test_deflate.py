"""Compressed frames are read back by the independent implementation of the library ``websockets``."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from kalshi_platform.trading.simserver.stream.connection import framed
from kalshi_platform.trading.simserver.stream.deflate import Deflater

AGREED = {
    "permessage-deflate": (False, 15),
    "permessage-deflate; server_no_context_takeover": (True, 15),
    "permessage-deflate; server_max_window_bits=9": (False, 9),
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=12": (True, 12),
}


def payloads(data):
    """(first byte, payload) of unmasked frames, one after another."""
    at = 0
    while at < len(data):
        first, n, size = data[at], data[at + 1], 0
        size = {126: 2, 127: 8}.get(n, 0)
        if size:
            n = int.from_bytes(data[at + 2 : at + 2 + size], "big")
        at += 2 + size
        yield first, data[at : at + n]
        at += n
    assert at == len(data)


@settings(max_examples=100, deadline=None)
@given(
    agreed=st.sampled_from(sorted(AGREED)),
    texts=st.lists(st.text(max_size=50) | st.sampled_from(["", "x" * 126, "ab" * 40_000]), max_size=6),
)
def test_what_is_compressed_comes_back_and_every_frame_is_marked(agreed, texts):
    fresh, bits = AGREED[agreed]
    reader = PerMessageDeflate(
        remote_no_context_takeover=fresh, local_no_context_takeover=False,
        remote_max_window_bits=bits, local_max_window_bits=15,
    )  # fmt: skip
    found = []
    for first, payload in payloads(framed(texts, Deflater(agreed))):
        assert first == 0xC1
        frame = reader.decode(Frame(Opcode.TEXT, payload, rsv1=True))
        found.append(bytes(frame.data).decode())
    assert found == texts


def test_frames_of_one_kind_shrink_where_the_context_is_kept():
    texts = [
        f'{{"type":"orderbook_delta","sid":1,"seq":{k},"msg":{{"price_dollars":"0.4{k % 10}00"}}}}'
        for k in range(500)
    ]
    plain, kept = len(framed(texts)), len(framed(texts, Deflater("permessage-deflate")))
    fresh = len(framed(texts, Deflater("permessage-deflate; server_no_context_takeover")))
    assert kept < 0.35 * plain
    assert kept < 0.5 * fresh


@pytest.mark.parametrize("n", [125, 126, 65_535, 65_536])
def test_lengths_at_the_edges_of_the_length_field(n):
    ((first, payload),) = payloads(framed(["x" * n]))
    assert (first, payload) == (0x81, b"x" * n)
