"""Objects of one S3-compatible bucket, through boto3.

Owns     the client, and the rule that tells by boto3's error types and S3's codes which failure passes by
         itself and which one stays.
Keys     come from the usual AWS variables, files and roles, as boto3 finds them; messages never show them.
Retries  none here: boto3 sends every request once, and ``patience.py`` repeats it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import boto3
import pyarrow as pa
from botocore.config import Config as ClientConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.storage.contract import StoreAwayError, StoredFile, StoreFailedError

_SETTINGS: Final = ClientConfig(
    connect_timeout=3.0,
    read_timeout=20.0,
    retries={"total_max_attempts": 1, "mode": "standard"},
    max_pool_connections=32,
    # Stores older than S3's checksums of 2024 refuse their headers; the manifests hold digests of our own.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
_SECRET_VARIABLES: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
#: boto3 makes clients from one session, which is not safe between threads; clients are.
_ONE_AT_A_TIME: Final = threading.Lock()

#: Objects of one listing: a store that goes on for ever is none. A dataset of 10,000 markets has thousands.
MOST_LISTED: Final = 5_000_000
MOST_PAGES: Final = 50_000
_TOO_MANY: Final = "name a longer prefix, with less below it"
_OVERLOADED: Final = "the store is overloaded: repeat later or with fewer workers"
_ADVICE: Final = "check AWS_ENDPOINT_URL, the AWS keys and the bucket's policy"
_UNREACHABLE: Final = "check AWS_ENDPOINT_URL and that the store is running and reachable"
#: S3's code -> what the user can do. HEAD is answered without a body: its code is the HTTP status.
_REMEDIES: Final = {
    "NoSuchBucket": "create the bucket or check its name",
    "AccessDenied": "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy",
    "403": "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "ExpiredToken": "fetch new credentials: AWS_SESSION_TOKEN has run out",
    "SlowDown": _OVERLOADED,
    "Throttling": _OVERLOADED,
    "ServiceUnavailable": _OVERLOADED,
}
#: S3's codes of failures that pass, whatever their HTTP status.
_PASSING: Final = frozenset(
    {
        "SlowDown", "Throttling", "ThrottlingException", "RequestThrottled", "RequestLimitExceeded",
        "BandwidthLimitExceeded", "ServiceUnavailable", "InternalError", "InternalFailure",
        "RequestTimeout", "RequestTimeoutException", "OperationAborted", "ConditionalRequestConflict",
    }
)  # fmt: skip
_TOO_MANY_REQUESTS, _SERVER_FAILED, _NOT_IMPLEMENTED = 429, 500, 501


class Bucket:
    """The objects below ``prefix`` of a bucket; every failure is one of the two in ``contract.py``."""

    def __init__(self, name: str, prefix: str) -> None:
        self._name, self._prefix = name, prefix
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None

    def exists(self, path: str) -> bool:
        """True where ``path`` is an object."""
        with self._failures():
            try:
                self._client.head_object(Bucket=self._name, Key=self._key(path))
            except ClientError as err:
                if _code(err) not in ("404", "NoSuchKey"):
                    raise
                return False
        return True

    def read(self, path: str) -> pa.Buffer:
        """The whole object."""
        with self._failures():
            answer = self._client.get_object(Bucket=self._name, Key=self._key(path))
            return pa.py_buffer(answer["Body"].read())

    def write(self, path: str, data: bytes | pa.Buffer) -> None:
        """Replace the object in one PUT, which becomes visible only when it is complete."""
        with self._failures():
            self._client.put_object(Bucket=self._name, Key=self._key(path), Body=bytes(data))

    def create(self, path: str, data: bytes) -> bool:
        """Create the object if ``path`` is free; return False if an object is there already.

        Where the answer to a PUT is lost and ``patience.py`` repeats the PUT, the repetition gives False
        although this process created the object. A caller to whom that matters compares the object with the
        bytes it sent.
        """
        with self._failures():
            try:
                self._client.put_object(
                    Bucket=self._name, Key=self._key(path), Body=data, IfNoneMatch="*"
                )  # fmt: skip
            except ClientError as err:
                if _code(err) != "PreconditionFailed":
                    raise
                return False
        return True

    def list(self, prefix: str) -> list[StoredFile]:
        """Objects at any depth below the folder ``prefix``; empty where there is none."""
        folder = self._key(prefix)
        cut = len(self._prefix) + 1 if self._prefix else 0
        found: list[StoredFile] = []
        with self._failures():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._name, Prefix=f"{folder}/" if folder else ""
            )
            for number, page in enumerate(pages, start=1):
                if "IsTruncated" not in page:  # a page of a proxy, say: it would be read as an empty bucket
                    words = "an answer that is no listing of S3's"
                    raise StoreFailedError(self._reason(words), _ADVICE)
                found += [
                    StoredFile(each["Key"][cut:], each["Size"])
                    for each in page.get("Contents", ())
                    if not each["Key"].endswith("/")  # other tools put such an object in place of a folder
                ]
                if len(found) > MOST_LISTED or number > MOST_PAGES:
                    words = f"it lists {len(found):,} objects on {number:,} pages and goes on"
                    raise StoreFailedError(words, _TOO_MANY)
        return found

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens where it is absent."""
        with self._failures():
            self._client.delete_object(Bucket=self._name, Key=self._key(path))

    @cached_property
    def _client(self) -> Any:
        endpoint = self._endpoint
        keys: dict[str, Any] = {}
        if os.environ.get("AWS_ACCESS_KEY_ID"):  # read now: boto3's session keeps the keys it read first
            keys = {
                "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": os.environ.get("AWS_SECRET_ACCESS_KEY"),
                "aws_session_token": os.environ.get("AWS_SESSION_TOKEN") or None,
            }
        with _ONE_AT_A_TIME:
            return boto3.client(
                "s3",
                endpoint_url=endpoint if endpoint is None or "://" in endpoint else f"https://{endpoint}",
                region_name=os.environ.get("AWS_REGION")
                or os.environ.get("AWS_DEFAULT_REGION")
                or "us-east-1",
                config=_SETTINGS,
                **keys,
            )

    def _key(self, path: str) -> str:
        return "/".join(part for part in (self._prefix, path) if part)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise StoreAwayError or StoreFailedError in place of each of boto3's errors."""
        try:
            yield
        except ClientError as err:
            raise self._refused(err) from None
        except SSLError as err:  # a certificate stays as it is
            raise StoreFailedError(self._reason(err), _UNREACHABLE) from None
        except (ConnectionError, HTTPClientError, IncompleteReadError) as err:
            raise StoreAwayError(self._reason(err), _UNREACHABLE) from None
        except (BotoCoreError, ValueError) as err:
            raise StoreFailedError(self._reason(err), _ADVICE) from None
        except RecursionError:  # boto3 looks for the region of a bucket that redirects, and is redirected
            words = "it redirects every request, that for its region too"
            raise StoreFailedError(self._reason(words), _ADVICE) from None
        except (ResponseParserError, KeyError, TypeError, AttributeError) as err:
            words = f"an answer that is none of S3's ({bounded_message(str(err), 200)})"
            raise StoreFailedError(self._reason(words), _ADVICE) from None

    def _refused(self, err: ClientError) -> StoreFailedError:
        """Failure that stands for an error with which the store answered."""
        code, message = _code(err), str(err.response.get("Error", {}).get("Message", ""))
        status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchKey":
            return StoreFailedError("there is no such object", "check the address")
        passes = (
            code in _PASSING
            or status == _TOO_MANY_REQUESTS
            or (status >= _SERVER_FAILED and status != _NOT_IMPLEMENTED)
        )
        kind = StoreAwayError if passes else StoreFailedError
        words = f"{code}: {bounded_message(message, 200)}"
        return kind(self._reason(words), _REMEDIES.get(code, _ADVICE))

    def _reason(self, error: Exception | str) -> str:
        """Text of the error and the endpoint, without the user's keys."""
        text, endpoint = str(error), self._endpoint
        shown = endpoint.rsplit("@", 1)[-1] if endpoint else "AWS"
        if endpoint:
            text = text.replace(endpoint, shown)
        for name in _SECRET_VARIABLES:
            if value := os.environ.get(name):
                text = text.replace(value, f"<{name}>")
        return f"{text} (endpoint {shown})"


def _code(err: ClientError) -> str:
    return bounded_message(str(err.response.get("Error", {}).get("Code", "")), 100)
