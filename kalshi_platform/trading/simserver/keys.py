"""Demo keys: made once into a folder, read by the server, used by a client as any other key.

Folder     ``<name>.pem`` is the private key (PKCS#8, mode 0600) for the client; ``keys.json`` lists key ids,
           scopes and public keys, all that the server reads.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.domain.json_text import json_text, json_value

LIST_NAME: Final = "keys.json"
#: Name of the key that may only read.
READER: Final = "reader"
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256().digest_size)
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class DemoKey(NamedTuple):
    """One API key as the server knows it."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    public: PublicKey

    @property
    def may_write(self) -> bool:
        """True where the key may change something."""
        return any(scope.partition(":")[0] == "write" for scope in self.scopes)

    def has_signed(self, text: str, signature: bytes) -> bool:
        """True where ``signature`` is this key's of ``text``."""
        try:
            if isinstance(self.public, rsa.RSAPublicKey):
                self.public.verify(signature, text.encode(), _PSS, hashes.SHA256())
            else:
                self.public.verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


def make_keys(folder: Path) -> dict[str, Path]:
    """Write new keys into ``folder``: two that may trade, one that may only read.

    Returns key id -> file of the private key.

    ContractError where the folder has keys already.
    """
    if (folder / LIST_NAME).exists():
        raise ContractError(f"{folder} holds keys already ({LIST_NAME}); choose another --out or remove it")
    private: dict[str, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey] = {
        "rsa": rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        READER: ed25519.Ed25519PrivateKey.generate(),
    }
    paths: dict[str, Path] = {}
    listed = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, key in private.items():
            path = folder / f"{name}.pem"
            _write_private(path, key)
            key_id = str(uuid4())
            paths[key_id] = path
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            listed.append(
                {
                    "key_id": key_id,
                    "name": name,
                    "scopes": ["read"] if name == READER else ["read", "write"],
                    "public_key": public.decode(),
                }
            )
        (folder / LIST_NAME).write_text(json_text(listed, indent=2))
    except OSError as err:
        raise StorageError(f"{folder}: keys cannot be written ({err.strerror or err})") from None
    return paths


def _write_private(path: Path, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)


def read_keys(folder: Path) -> dict[str, DemoKey]:
    """Keys of ``folder`` by key id; ContractError where it holds none."""
    path = folder / LIST_NAME
    try:
        listed = json_value(path.read_text())
        return {each["key_id"]: _read_key(each) for each in listed}
    except OSError as err:
        raise ContractError(
            f"{path}: cannot be read ({err.strerror or err}); make keys with "
            f"kalshi-platform simexchange keys --out {folder}"
        ) from None
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm) as err:
        told = bounded_message(str(err), 200)
        raise ContractError(
            f"{path}: is no list of keys ({told}); remove the folder and make keys anew"
        ) from None


def _read_key(listed: dict[str, object]) -> DemoKey:
    public = serialization.load_pem_public_key(str(listed["public_key"]).encode())
    if not isinstance(public, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise ValueError(f"{shown_value(listed['name'])}: neither an RSA nor an Ed25519 key")  # noqa: TRY004
    scopes = listed["scopes"]
    if not isinstance(scopes, list):
        raise ValueError(f"{shown_value(listed['name'])}: its scopes are no list")  # noqa: TRY004 - of a file
    return DemoKey(str(listed["key_id"]), str(listed["name"]), tuple(map(str, scopes)), public)
