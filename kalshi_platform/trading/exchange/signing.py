"""Signatures of requests: what is signed, by which algorithm, and where the private key may come from.

Text       timestamp (ms since 1970, decimal) + METHOD + path, without separators. The path begins with a
           slash, is percent-encoded as it is sent, and has neither host nor query. The body is not signed.
Algorithm  chosen from the parsed key, since RSA and Ed25519 keys share one PEM header: RSA-PSS with SHA-256,
           MGF1 of SHA-256 and a salt as long as the digest; or Ed25519 over the text.
Secret     a private key comes from a file or from the environment, never from an argument's value: arguments
           stand in process lists and shell histories. Neither ``repr`` nor any error shows a key or a part.
Not here   sending (transport.py, websocket.py).
"""

import base64
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_MS

KEY_HEADER: Final = "KALSHI-ACCESS-KEY"
TIME_HEADER: Final = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER: Final = "KALSHI-ACCESS-SIGNATURE"

#: Names of the environment: the key's id, the path of its PEM file, or the PEM text itself.
KEY_ID_VARIABLE: Final = "KALSHI_API_KEY_ID"
KEY_FILE_VARIABLE: Final = "KALSHI_PRIVATE_KEY_FILE"
KEY_TEXT_VARIABLE: Final = "KALSHI_PRIVATE_KEY"

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_PATH: Final = re.compile(r"/[!-~]*", re.ASCII)
_LEAST_RSA_BITS: Final = 2_048
_MOST_KEY_BYTES: Final = 1 << 16
#: Rights that a key file may not give: any to others, writing to its group.
_TOO_OPEN: Final = stat.S_IRWXO | stat.S_IWGRP

_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


class RequestSigner:
    """One API key: makes the three headers of a request; shows its id and its algorithm only."""

    def __init__(self, key_id: str, pem: bytes, source: str) -> None:
        """``pem``: the private key; ``source`` names its place in errors. ContractError where it is unfit."""
        if _KEY_ID.fullmatch(key_id) is None:
            raise ContractError(
                f"key id of {len(key_id)} characters; expected 1 to 64 letters, digits, - and _ (a UUID): "
                f"copy the id from the exchange's page of API keys into {KEY_ID_VARIABLE}"
            )
        self.key_id = key_id
        self._key = _parse_key(pem, source)

    def __repr__(self) -> str:
        return f"RequestSigner({self.key_id!r}, {self.algorithm})"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to be pickled: a private key leaves the process in no other process's memory or file."""
        raise ContractError("a RequestSigner is not pickled: load the key again where it is needed")

    @property
    def algorithm(self) -> str:
        """``RSA-PSS`` or ``Ed25519``."""
        return "RSA-PSS" if isinstance(self._key, RSAPrivateKey) else "Ed25519"

    def headers(self, method: str, path: str, wall_ns: int) -> dict[str, str]:
        """Return the headers of a request made at ``wall_ns`` (ns since 1970); ``path`` exactly as sent."""
        time_ms = str(wall_ns // NS_PER_MS)
        signature = self._sign(presign_text(time_ms, method, path).encode("ascii"))
        return {
            KEY_HEADER: self.key_id,
            TIME_HEADER: time_ms,
            SIGNATURE_HEADER: base64.b64encode(signature).decode("ascii"),
        }

    def _sign(self, text: bytes) -> bytes:
        """Signature of ``text``; of an RSA key it differs each time, since its salt is random."""
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(text, _PSS, hashes.SHA256())
        return self._key.sign(text)


def presign_text(time_ms: str, method: str, path: str) -> str:
    """Return the text that is signed; ContractError for a path with host, query or unencoded letters."""
    if _PATH.fullmatch(path) is None or "?" in path or "#" in path:
        raise ContractError(
            f"path {path[:80]!r} cannot be signed: expected /trade-api/..., percent-encoded, "
            "without host and query"
        )
    return f"{time_ms}{method.upper()}{path}"


def signer_from_file(key_id: str, path: Path) -> RequestSigner:
    """Signer of the private key in ``path``, a PEM file.

    ContractError where others can read the file or its group can write it: whoever reads the key can trade
    and withdraw. Its group may read: a secret that is mounted into a container belongs to a group.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & _TOO_OPEN:
                raise ContractError(
                    f"{path} has mode {mode:04o}: others could read or its group change the private key; "
                    f"allowed are at most 0750: chmod 600 {path}"
                )
            pem = file.read(_MOST_KEY_BYTES)
    except OSError as err:
        raise ContractError(
            f"{path} cannot be read ({err.strerror or type(err).__name__}): "
            "give the PEM file of the private key"
        ) from None
    return RequestSigner(key_id, pem, str(path))


def signer_from_environment(environment: Mapping[str, str]) -> RequestSigner | None:
    """Signer that the environment names; None where it names neither key id nor key.

    ContractError where it names one half only, or two keys.
    """
    key_id = environment.get(KEY_ID_VARIABLE, "")
    file, text = environment.get(KEY_FILE_VARIABLE, ""), environment.get(KEY_TEXT_VARIABLE, "")
    if not (key_id or file or text):
        return None
    if not key_id:
        raise ContractError(f"a private key without its id: set {KEY_ID_VARIABLE} too")
    if bool(file) == bool(text):
        both = "both are set" if file else "neither is set"
        raise ContractError(f"set one of {KEY_FILE_VARIABLE} and {KEY_TEXT_VARIABLE}: {both}")
    if file:
        return signer_from_file(key_id, Path(file))
    # A line of an env file holds no line breaks; \n stands for them.
    return RequestSigner(key_id, text.replace("\\n", "\n").encode(), KEY_TEXT_VARIABLE)


def _parse_key(pem: bytes, source: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """Private key of a PEM text; ContractError names ``source`` and never what stands in it."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ContractError(
            f"{source}: the private key is encrypted; write it without a passphrase: "
            "openssl pkey -in KEY -out NEW"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ContractError(
            f"{source}: no private key in PEM form (-----BEGIN ... PRIVATE KEY-----)"
        ) from None
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise ContractError(
                f"{source}: RSA key of {key.key_size} bits; "
                f"expected at least {_LEAST_RSA_BITS}: make a new key"
            )
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise ContractError(
        f"{source}: {type(key).__name__.removesuffix('PrivateKey')} key; expected RSA or Ed25519"
    )
