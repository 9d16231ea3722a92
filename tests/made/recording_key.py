"""A key for ``kalshi-platform record`` in a test: a private key of its own in a file of mode 0600."""

from pathlib import Path

from made.exchange import KEY_ID, ed25519_pem


def key_environment(folder: Path) -> dict[str, str]:
    """Environment of a recorder that signs with a key made in ``folder``."""
    file = folder / "drill.pem"
    if not file.exists():
        file.touch(0o600)
        file.write_bytes(ed25519_pem())
    return {"KALSHI_API_KEY_ID": KEY_ID, "KALSHI_PRIVATE_KEY_FILE": str(file)}
