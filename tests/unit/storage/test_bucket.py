"""A bucket's failures told apart by types and codes, each request sent once (moto tests the good way)."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.config import Config

from kalshi_platform.storage import bucket
from kalshi_platform.storage.bucket import Bucket
from kalshi_platform.storage.contract import StoreAwayError, StoreFailedError


class Store(ThreadingHTTPServer):
    """Gives the same answer to every request."""

    status, code, body_cut, silent = 200, "", False, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.requests: list[str] = []
        self.over = threading.Event()


class Answer(BaseHTTPRequestHandler):
    def answer(self) -> None:
        store = self.server
        store.requests.append(self.command)
        if store.silent:
            store.over.wait(10)
            return
        text = f"<Error><Code>{store.code}</Code><Message>words</Message></Error>" if store.code else "hello"
        body = b"" if self.command == "HEAD" else text.encode()
        self.send_response(store.status)
        self.send_header("Content-Length", str(len(body) + 10 * store.body_cut))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - the names http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def store(monkeypatch) -> Iterator[Store]:
    server = Store()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


#: Requests that are answered with a body, and so with S3's code.
ACTIONS = {
    "GET": lambda b: b.read("x"),
    "PUT": lambda b: b.write("x", b"1"),
    "PUT if absent": lambda b: b.create("x", b"1"),
    "list": lambda b: b.list(""),
    "DELETE": lambda b: b.delete("x"),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"), (503, "ServiceUnavailable"), (500, "InternalError"), (502, "BadGateway"),
        (400, "RequestTimeout"), (429, "TooMany"), (409, "OperationAborted"),
    ],
)  # fmt: skip
def test_overload_time_outs_and_5xx_pass_and_are_asked_once(store, action, status, code):
    store.status, store.code = status, code
    with pytest.raises(StoreAwayError):
        ACTIONS[action](Bucket("bucket", "prefix"))
    assert len(store.requests) == 1  # what repeats is Patience, and nothing below it


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (404, "NoSuchBucket", "create the bucket"),
        (403, "AccessDenied", "AWS_SECRET_ACCESS_KEY and the bucket's policy"),
        (403, "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "AWS_REGION"),
        (400, "ExpiredToken", "AWS_SESSION_TOKEN has run out"),
        (501, "NotImplemented", "check AWS_ENDPOINT_URL"),
    ],
)
def test_what_stays_wrong_stays_and_has_its_remedy(store, action, status, code, remedy):
    store.status, store.code = status, code
    with pytest.raises(StoreFailedError) as refused:
        ACTIONS[action](Bucket("bucket", "prefix"))
    assert not isinstance(refused.value, StoreAwayError)
    assert remedy in refused.value.remedy
    assert "very-secret-value" not in refused.value.reason
    assert "AKIDEXAMPLE" not in refused.value.reason


def test_an_answer_without_a_body_is_told_by_its_status(store):
    look = Bucket("bucket", "").exists
    assert look("x")
    store.status = 404
    assert not look("x")
    store.status = 503
    with pytest.raises(StoreAwayError):
        look("x")
    for store.status, remedy in ((403, "the bucket's policy"), (501, "AWS_ENDPOINT_URL")):
        with pytest.raises(StoreFailedError, match=f"{store.status}: ") as refused:
            look("x")
        assert not isinstance(refused.value, StoreAwayError)
        assert remedy in refused.value.remedy


def test_an_absent_object_is_told_from_an_absent_bucket(store):
    store.status, store.code = 404, "NoSuchKey"
    with pytest.raises(StoreFailedError) as refused:
        Bucket("bucket", "").read("x")
    assert (refused.value.reason, refused.value.remedy) == ("there is no such object", "check the address")


def test_a_lost_race_is_no_failure_and_a_conflict_is_asked_again(store):
    store.status, store.code = 412, "PreconditionFailed"
    assert Bucket("bucket", "").create("x", b"1") is False
    store.status, store.code = 409, "ConditionalRequestConflict"
    with pytest.raises(StoreAwayError):
        Bucket("bucket", "").create("x", b"1")


def test_an_answer_cut_short_and_one_that_does_not_come_pass(store, monkeypatch):
    store.body_cut = True
    with pytest.raises(StoreAwayError):
        Bucket("bucket", "").read("x")
    store.silent = True
    monkeypatch.setattr(bucket, "_SETTINGS", bucket._SETTINGS.merge(Config(read_timeout=0.2)))
    with pytest.raises(StoreAwayError, match="Read timeout"):
        Bucket("bucket", "").read("x")
    assert store.requests == ["GET", "GET"]


def test_a_certificate_that_is_not_trusted_stays(store, monkeypatch):
    # Plain HTTP where TLS is expected: the handshake fails as it does with a wrong certificate.
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{store.server_port}")
    with pytest.raises(StoreFailedError) as refused:
        Bucket("bucket", "").read("x")
    assert not isinstance(refused.value, StoreAwayError)
    assert "SSL" in refused.value.reason


def test_a_password_in_the_endpoint_is_not_shown(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:very-secret-value@127.0.0.1:9")
    with pytest.raises(StoreFailedError) as refused:
        Bucket("bucket", "").read("x")
    assert "very-secret-value" not in refused.value.reason
    assert "127.0.0.1:9" in refused.value.reason
