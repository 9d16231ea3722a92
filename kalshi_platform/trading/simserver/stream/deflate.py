"""Compression of WebSocket messages (permessage-deflate, RFC 7692), where the client offered it.

Agreed    by aiohttp in the handshake; read there too. This side alone writes data frames, so it compresses
          them here. Control frames are never compressed.
Context   is kept over the messages of a connection, unless the client asked for a fresh one each time.
"""

import re
import zlib
from typing import Final

#: End of every flushed block, which the protocol leaves out.
_TAIL: Final = b"\x00\x00\xff\xff"
_BITS: Final = re.compile(r"server_max_window_bits=(\d+)")


class Deflater:
    """Compressor of the messages of one connection."""

    def __init__(self, agreed: str) -> None:
        """``agreed``: the header ``Sec-WebSocket-Extensions`` of the handshake's answer."""
        bits = _BITS.search(agreed)
        self._window_bits = int(bits[1]) if bits else zlib.MAX_WBITS
        self._keeps_context = "server_no_context_takeover" not in agreed
        self._compress = self._fresh()

    def _fresh(self) -> "zlib._Compress":
        return zlib.compressobj(level=zlib.Z_BEST_SPEED, wbits=-self._window_bits)

    def message(self, body: bytes) -> bytes:
        """Payload of the frame that carries ``body``; the bit RSV1 must mark it."""
        if not self._keeps_context:
            self._compress = self._fresh()
        return (self._compress.compress(body) + self._compress.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
