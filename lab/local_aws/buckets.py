"""S3, where ministack takes what AWS refuses.

A bucket whose objects are locked for a time takes none without a checksum: "the Content-MD5 or
x-amz-sdk-checksum-algorithm header is required for any request to upload an object with a retention period configured
using Object Lock" (S3 User Guide, "Object Lock considerations"). The SDKs send one by themselves, so whoever signs by
hand would learn it on AWS only.
"""

from __future__ import annotations

from collections.abc import Mapping

from ministack.services import s3

from local_aws.calls import Answer
from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

CHECKSUMS = ("content-md5", "x-amz-sdk-checksum-algorithm")
CHECKSUM = "x-amz-checksum-"
RETENTION = "x-amz-object-lock-retain-until-date"
REFUSAL = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"


def _is_kept(bucket: str, headers: Mapping[str, str]) -> bool:
    """Whether an object gets a time for which it is locked: its own, or the bucket's."""
    lock = s3._bucket_object_lock.get(bucket) or {}
    return bool(headers.get(RETENTION) or lock.get("default_retention"))


def _has_checksum(headers: Mapping[str, str]) -> bool:
    return any(name in CHECKSUMS or name.startswith(CHECKSUM) for name in map(str.lower, headers))


def install(settings: Settings) -> None:
    """Look at what is put before it is."""
    original: AnyFunction

    def put_object(bucket_name: str, key: str, body: bytes, headers: dict[str, str]) -> Answer:
        if _is_kept(bucket_name, headers) and not _has_checksum(headers):
            refused: Answer = s3._error("InvalidRequest", REFUSAL, 400, f"/{bucket_name}/{key}")
            return refused
        put: Answer = original(bucket_name, key, body, headers)
        return put

    original = replace(s3, "_put_object", put_object, expects=("bucket_name", "key", "body", "headers"))
