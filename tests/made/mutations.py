"""Damage of a sound document, drawn from a generator: values, keys, lists of JSON; bits and cuts of bytes."""

import copy
import json
import random
from typing import Any

from made.odd_values import ODD_JSON

#: Stands where an odd JSON text is put afterwards: Python's writer knows no number of 400 digits.
_MARK = "@@odd@@"
#: Nested deeper than Python's own reader goes.
_DEEP = ("[" * 3_000 + "]" * 3_000, '{"a":' * 3_000 + "1" + "}" * 3_000)
_KEYS = ("", "x", "\u0000", "\ud83d\ude00", "type", "msg", "__class__", "x" * 300, "0", "markets")


def odd_document(rng: random.Random, document: Any, most: int = 3) -> str:
    """JSON text of ``document`` with one to ``most`` places changed: a value, a key, an entry."""
    changed = copy.deepcopy(document)
    marks: list[str] = []
    for _ in range(rng.randint(1, most)):
        changed = _changed(rng, changed, marks)
    text = json.dumps(changed)
    for odd in marks:
        text = text.replace(f'"{_MARK}"', odd, 1)
    return text


def odd_bytes(rng: random.Random, data: bytes) -> bytes:
    """``data`` with bits flipped, or a part cut out, doubled, zeroed, moved, or replaced by noise."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        if not out:
            return bytes(rng.randbytes(rng.randrange(4)))
        at = rng.randrange(len(out))
        n = min(rng.choice((1, 2, 4, 8, 64, 1_000)), len(out) - at)
        match rng.randrange(8):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.choice((0, 0xFF, 0x7F, 0x80, 0x22, 0x7B, 0x0A))
            case 2:
                del out[at:]
            case 3:
                del out[at : at + n]
            case 4:
                out[at:at] = out[at : at + n]
            case 5:
                out[at : at + n] = bytes(n)
            case 6:
                out[at : at + n] = rng.randbytes(n)
            case _:
                to = rng.randrange(len(out))
                out[to:to] = out[at : at + n]
    return bytes(out)


def odd_text(rng: random.Random, document: Any, most: int = 3) -> bytes:
    """Bytes of a damaged JSON document: mostly still JSON, one in five damaged as bytes."""
    if rng.randrange(5) == 0:
        return odd_bytes(rng, json.dumps(document).encode())
    return odd_document(rng, document, most).encode("utf-8", "surrogatepass")


def _changed(rng: random.Random, node: Any, marks: list[str]) -> Any:
    """``node`` with one place below it changed, or another value in its place."""
    inside = isinstance(node, dict | list) and len(node) > 0 and node != _MARK
    if not inside or rng.randrange(12) == 0:
        marks.append(rng.choice(ODD_JSON if rng.randrange(40) else _DEEP))
        return _MARK
    if isinstance(node, dict):
        key = rng.choice(list(node))
        match rng.randrange(10):
            case 0:
                del node[key]
            case 1:
                node[rng.choice(_KEYS)] = node.pop(key)
            case 2:
                node[rng.choice(_KEYS)] = copy.deepcopy(node[rng.choice(list(node))])
            case _:
                node[key] = _changed(rng, node[key], marks)
        return node
    at = rng.randrange(len(node))
    match rng.randrange(10):
        case 0:
            del node[at]
        case 1:
            node.insert(rng.randrange(len(node) + 1), copy.deepcopy(node[at]))
        case 2:
            node.reverse()
        case _:
            node[at] = _changed(rng, node[at], marks)
    return node
