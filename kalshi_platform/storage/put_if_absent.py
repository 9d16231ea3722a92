"""One object created only where none is: ``PUT`` with ``If-None-Match: *``, which pyarrow cannot send.

Owns   the boto3 client of such writes and the translation of its failures into the marks that
       ``storage.py`` has remedies for (NO_SUCH_BUCKET, ACCESS_DENIED, NETWORK_CONNECTION ...).
Keys   come from the usual AWS variables, files and roles, as boto3 finds them.
"""

import re
from typing import Final

import boto3
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

_EXISTS: Final = "PreconditionFailed"
#: Another conditional write of the same key is under way; S3 asks to repeat.
_CONFLICT: Final = "ConditionalRequestConflict"
_ATTEMPTS: Final = 3


def put_if_absent(
    root: str, path: str, data: bytes, *, endpoint: str | None, region: str, timeout_s: float
) -> bool:
    """Create object ``path`` below ``root`` (bucket/prefix); False where there is one already.

    An answer lost on the way is repeated by the client, and the repetition then reports False although
    this call created the object: a caller to whom that matters compares what it finds with what it sent.
    OSError with a mark for every other failure.
    """
    bucket, _, prefix = root.partition("/")
    key = f"{prefix}/{path}" if prefix else path
    settings = ClientConfig(
        connect_timeout=timeout_s, retries={"max_attempts": _ATTEMPTS, "mode": "standard"}
    )
    try:
        client = boto3.client("s3", endpoint_url=_with_scheme(endpoint), region_name=region, config=settings)
        for attempt in range(_ATTEMPTS):
            try:
                client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as err:
                code = err.response.get("Error", {}).get("Code", "")
                if code == _EXISTS:
                    return False
                if code != _CONFLICT or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return True
    except ClientError as err:
        raise OSError(f"{_mark(err.response.get('Error', {}).get('Code', ''))}: {err}") from None
    except (ConnectionError, HTTPClientError) as err:
        raise OSError(f"NETWORK_CONNECTION: {err}") from None
    except (BotoCoreError, ValueError) as err:
        raise OSError(str(err)) from None
    raise AssertionError("every attempt returns or raises")


def _with_scheme(endpoint: str | None) -> str | None:
    return endpoint if endpoint is None or "://" in endpoint else f"https://{endpoint}"


def _mark(code: str) -> str:
    """``NoSuchBucket`` -> ``NO_SUCH_BUCKET``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).upper()
