"""An S3 server in a process of its own (moto's): ``python -m made.s3_server PORT [refuse|ignore]``.

refuse   answers a conditional write (``If-None-Match``) with 501, as stores do that lack it
ignore   drops the condition and overwrites, as older stores do without a word
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import urlopen

import boto3

KEYS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "very-secret-value",
    "AWS_REGION": "us-east-1",
}
_REFUSAL: Final = (
    b"<Error><Code>NotImplemented</Code>"
    b"<Message>A header you provided implies functionality that is not implemented</Message></Error>"
)


class S3Server:
    """A running server; its objects live as long as it does."""

    def __init__(self, port: int, log: Path, conditional: str = "") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environ = {"AWS_ENDPOINT_URL": self.url, **KEYS}
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "made.s3_server", str(port), *([conditional] if conditional else [])],
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            )
        end_s = time.monotonic() + 240
        while not _answers(self.url):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < end_s, f"{self.url} does not answer: {log.read_text()}"
            time.sleep(0.1)
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=KEYS["AWS_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )

    def make_buckets(self, *names: str) -> None:
        """Create buckets."""
        for name in names:
            self.client.create_bucket(Bucket=name)

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Keys of ``bucket`` that begin with ``prefix``, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(each["Key"] for page in pages for each in page.get("Contents", ()))

    def read(self, bucket: str, key: str) -> bytes:
        """Bytes of an object."""
        found: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return found

    def stop(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait(timeout=120)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2):
            return True
    except HTTPError:
        return True
    except OSError:
        return False


def unconditional(server: Any, refuse: bool) -> Any:
    """WSGI application ``server`` without conditional writes."""

    def answer(environ: dict[str, Any], start: Any) -> Any:
        if environ.pop("HTTP_IF_NONE_MATCH", None) is not None and refuse:
            start("501 Not Implemented", [("Content-Type", "application/xml")])
            return [_REFUSAL]
        return server(environ, start)

    return answer


def main(port: int, conditional: str) -> None:
    """Serve on loopback until killed."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    server: Any = DomainDispatcherApplication(create_backend_app)
    if conditional:
        server = unconditional(server, refuse=conditional == "refuse")
    run_simple("127.0.0.1", port, server, threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
