import base64
import pickle
import traceback

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.exchange.signing import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    RequestSigner,
    presign_text,
    signer_from_environment,
    signer_from_file,
)

KEY_ID = "a952bcbe-ec3b-4b5b-b8f9-11dae589608c"
NOON_NS = 1_795_400_000_123_456_789
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def pem_of(key, form=serialization.PrivateFormat.PKCS8, secret=None):
    lock = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, lock)


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(pem_of(ED_KEY))
    path.chmod(0o600)
    return path


def test_the_signed_text_is_time_method_and_path_without_separators():
    text = presign_text("1795400000123", "post", "/trade-api/v2/portfolio/events/orders")
    assert text == "1795400000123POST/trade-api/v2/portfolio/events/orders"


@pytest.mark.parametrize(
    "path",
    ["trade-api/v2", "https://h/trade-api", "/a?b=1", "/a#b", "/a b", "/caf\u00e9", ""],
)
def test_a_path_that_would_be_signed_otherwise_than_sent_is_refused(path):
    with pytest.raises(ContractError, match="cannot be signed"):
        presign_text("1", "GET", path)


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_an_rsa_key_signs_by_pss_with_a_salt_as_long_as_the_digest(form):
    headers = RequestSigner(KEY_ID, pem_of(RSA_KEY, form), "test").headers("GET", "/trade-api/ws/v2", NOON_NS)
    assert headers[KEY_HEADER] == KEY_ID
    assert headers[TIME_HEADER] == "1795400000123"
    RSA_KEY.public_key().verify(
        base64.b64decode(headers[SIGNATURE_HEADER]),
        b"1795400000123GET/trade-api/ws/v2",
        padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32),
        hashes.SHA256(),
    )


def test_an_ed25519_key_under_the_same_pem_header_signs_the_text_itself():
    signer = RequestSigner(KEY_ID, pem_of(ED_KEY), "test")
    assert pem_of(ED_KEY).splitlines()[0] == pem_of(RSA_KEY).splitlines()[0]
    assert signer.algorithm == "Ed25519"
    signature = signer.headers("DELETE", "/trade-api/v2/x%20y", NOON_NS)[SIGNATURE_HEADER]
    ED_KEY.public_key().verify(base64.b64decode(signature), b"1795400000123DELETE/trade-api/v2/x%20y")


@pytest.mark.parametrize("key", [RSA_KEY, ED_KEY])
def test_a_signer_shows_nothing_of_its_key(key):
    pem = pem_of(key)
    signer = RequestSigner(KEY_ID, pem, "test")
    shown = repr(signer) + str(signer) + repr(vars(signer))
    secret = b"".join(pem.splitlines()[1:-1]).decode()
    assert not any(secret[i : i + 12] in shown for i in range(0, len(secret) - 12, 6))
    with pytest.raises(ContractError, match="not pickled"):
        pickle.dumps(signer)


def test_an_error_about_a_damaged_key_shows_nothing_of_it():
    lines = pem_of(RSA_KEY).splitlines()
    damaged = b"\n".join([lines[0], *lines[3:]])
    with pytest.raises(ContractError, match="no private key") as caught:
        RequestSigner(KEY_ID, damaged, "my.pem")
    told = "".join(traceback.format_exception(caught.value))
    assert "my.pem" in told
    assert not any(line.decode()[:12] in told for line in lines[1:-1])


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "expected RSA or Ed25519"),
        (pem_of(rsa.generate_private_key(public_exponent=65_537, key_size=1_024)), "1024 bits"),
        (pem_of(ED_KEY, secret=b"pass"), "encrypted"),
        (b"", "no private key"),
        (RSA_KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo), "no private key"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_sign_is_refused_with_its_reason(pem, said):
    with pytest.raises(ContractError, match=said):
        RequestSigner(KEY_ID, pem, "test")


@pytest.mark.parametrize("key_id", ["", "a b", "x\r\ny: z", "k" * 65])
def test_a_key_id_that_could_break_a_header_is_refused(key_id):
    with pytest.raises(ContractError, match="key id"):
        RequestSigner(key_id, pem_of(ED_KEY), "test")


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o620, 0o601])
def test_a_key_file_that_others_can_use_is_refused(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(ContractError, match=f"mode {mode:04o}.*chmod 600"):
        signer_from_file(KEY_ID, key_file)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440])
def test_a_key_file_of_its_owner_or_group_is_taken(key_file, mode):
    key_file.chmod(mode)
    assert signer_from_file(KEY_ID, key_file).algorithm == "Ed25519"


def test_a_key_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(ContractError, match=r"none\.pem cannot be read"):
        signer_from_file(KEY_ID, tmp_path / "none.pem")


def test_the_environment_names_a_file_or_holds_the_key(key_file):
    by_file = {"KALSHI_API_KEY_ID": KEY_ID, "KALSHI_PRIVATE_KEY_FILE": str(key_file)}
    by_text = {
        "KALSHI_API_KEY_ID": KEY_ID,
        "KALSHI_PRIVATE_KEY": pem_of(ED_KEY).decode().replace("\n", "\\n"),
    }
    one, other = signer_from_environment(by_file), signer_from_environment(by_text)
    assert one is not None
    assert other is not None
    assert one.headers("GET", "/a", NOON_NS) == other.headers("GET", "/a", NOON_NS)
    assert signer_from_environment({}) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"KALSHI_PRIVATE_KEY": "x"}, "KALSHI_API_KEY_ID"),
        ({"KALSHI_API_KEY_ID": KEY_ID}, "neither is set"),
        (
            {"KALSHI_API_KEY_ID": KEY_ID, "KALSHI_PRIVATE_KEY": "x", "KALSHI_PRIVATE_KEY_FILE": "y"},
            "both are set",
        ),
    ],
)
def test_half_a_key_in_the_environment_is_refused(environment, said):
    with pytest.raises(ContractError, match=said):
        signer_from_environment(environment)
