"""A bucket that another wrote, or that is none: odd keys, listings without end, answers that are no S3's."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

import pytest

from kalshi_platform.domain.errors import ContractError, PlatformError, StorageError
from kalshi_platform.learning.training.mirror import MIRROR_FILE, Mirror
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.storage import bucket
from kalshi_platform.storage.storage import open_storage

ODD_KEYS = (
    "a b/ü.json",
    "../outside.json",
    "x/../../etc/passwd",
    "/root",
    "x//y",
    "x/./y",
    "%2e%2e/z",
    "x" * 900,
)


def listing(keys, more: str = "") -> bytes:
    contents = "".join(f"<Contents><Key>{escape(key)}</Key><Size>3</Size></Contents>" for key in keys)
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    truncated = "true" if more else "false"
    inside = f"<IsTruncated>{truncated}</IsTruncated>{token}{contents}"
    return f"<ListBucketResult>{inside}</ListBucketResult>".encode()


class Answers(BaseHTTPRequestHandler):
    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.server.answer(self)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - the names http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def place():
    return open_storage("s3://bucket/prefix", patience_s=0.0)


def test_odd_keys_are_listed_as_they_are_and_none_leaves_the_prefix(server, tmp_path):
    server.answer = lambda request: (200, listing([f"prefix/{key}" for key in ODD_KEYS]))
    found = [file.path for file in place().list_files()]
    assert sorted(found) == sorted(ODD_KEYS)
    for path in ("../outside.json", "x/../../etc/passwd", "/root"):
        with pytest.raises(ContractError, match="leaves s3://bucket/prefix"):
            place().read_bytes(path)


def test_a_listing_without_end_is_refused(server, monkeypatch):
    monkeypatch.setattr(bucket, "MOST_PAGES", 5)
    asked = []

    def answer(request):
        asked.append(request.path)
        return 200, listing([f"prefix/{len(asked)}"], more=f"token{len(asked)}")

    server.answer = answer
    with pytest.raises(StorageError, match=r"lists 6 objects on 6 pages and goes on.*longer prefix"):
        place().list_files()
    assert len(asked) == 6


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"<html>login</html>", b"<ListBucketResult>", b"\xff\xfe", b'{"keys": []}',
     b"<ListBucketResult><Contents><Size>3</Size></Contents></ListBucketResult>",
     b"<ListBucketResult><Contents><Key>prefix/a</Key><Size>many</Size></Contents></ListBucketResult>"],
)  # fmt: skip
def test_a_listing_that_is_none_of_s3s_is_refused_and_never_taken_for_an_empty_bucket(server, body):
    server.answer = lambda request: (200, body)
    with pytest.raises(StorageError, match=r"cannot list s3://bucket/prefix") as refused:
        place().list_files()
    assert len(str(refused.value)) <= 500


@pytest.mark.parametrize("status", [301, 302, 400, 404, 405, 418])
@pytest.mark.parametrize(
    "body", [b"", b"hello" * 10_000, b"<Error><Code>" + b"x" * 9_000 + b"</Code></Error>"]
)
def test_an_error_that_is_none_of_s3s_is_short_and_names_the_address(server, status, body):
    server.answer = lambda request: (status, body)
    for act in (
        lambda: place().read_bytes("a"),
        lambda: place().write_bytes_atomic("a", b"x"),
        place().list_files,
    ):
        with pytest.raises(PlatformError, match=r"s3://bucket/prefix") as refused:
            act()
        assert len(str(refused.value)) <= 500
        assert "very-secret-value" not in str(refused.value)


def test_keys_that_are_no_models_are_passed_over_and_one_that_leads_out_is_refused(server):
    server.answer = lambda request: (
        200,
        listing(["prefix/models/a b/ü.json/record.json", "prefix/models/x"]),
    )
    assert Registry("s3://bucket/prefix").models() == []
    server.answer = lambda request: (200, listing(["prefix/models/../record.json"]))
    with pytest.raises(PlatformError, match="is no id of a model"):
        Registry("s3://bucket/prefix").models()


@pytest.mark.parametrize(
    "record",
    [
        '{"links": {"latest": "000002", "../../evil": "000002"}, "files": [], "metrics_blocks": 0,'
        ' "checkpoints": {"000002": ""}}',
        '{"links": {"latest": "../../evil"}, "files": [], "metrics_blocks": 0,'
        ' "checkpoints": {"../../evil": ""}}',
        '{"links": {"latest": "000002"}, "files": ["../evil"], "metrics_blocks": 0,'
        ' "checkpoints": {"000002": ""}}',
        '{"links": {"latest": "000002"}, "files": [], "metrics_blocks": -1, "checkpoints": {"000002": ""}}',
        '{"links": {"latest": ["x"]}, "files": [], "metrics_blocks": 0, "checkpoints": {"000002": ""}}',
        '{"links": {}, "files": [], "metrics_blocks": 0, "checkpoints": {"000002": ""}}',
        '{"links": {"latest": "000002"}, "files": [], "metrics_blocks": true, "checkpoints": {"000002": ""}}',
    ],
)
def test_a_mirror_that_names_what_lies_outside_a_run_is_refused_and_writes_nothing(server, tmp_path, record):
    server.answer = lambda request: (200, record.encode() if MIRROR_FILE in request.path else b"x")
    run = tmp_path / "home" / "run"
    with pytest.raises(PlatformError, match="no record of a run's copy"):
        Mirror("s3://bucket/prefix").pull(run)
    assert list(tmp_path.rglob("*")) == []
