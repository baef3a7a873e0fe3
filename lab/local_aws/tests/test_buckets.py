"""Objects are put as AWS takes them: once, where the role may, and with a checksum where they are locked."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.tests.functions import allow, create_role
from local_aws.tests.roles import role_client
from local_aws.tests.support import REGION, Lab

ROOT = Path(__file__).resolve().parents[3]
RETENTION = timedelta(days=365)


def snippet() -> str:
    """The bucket that the runbook proposes."""
    _, _, section = (ROOT / "docs" / "runbook.md").read_text().partition("## What is kept for auditors\n")
    _, _, code = section.partition("```yaml\n")
    return code.partition("```\n")[0]


@pytest.fixture
def bucket(lab: Lab, unique: str) -> str:
    """Made from the runbook."""
    stacks = lab.client("cloudformation")
    stacks.create_stack(StackName=unique, TemplateBody=snippet())
    stacks.get_waiter("stack_create_complete").wait(StackName=unique, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    outputs = stacks.describe_stacks(StackName=unique)["Stacks"][0]["Outputs"]
    found = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    return str(found["AuditBucketName"])


def putting(lab: Lab, unique: str, bucket: str) -> Any:
    """A client of a role that may put below one prefix, as the function ``notify`` has it."""
    statement = allow("s3:PutObject", resource=f"arn:aws:s3:::{bucket}/glidepath/*")
    return role_client(lab, create_role(lab, unique, statement), "s3")


def test_the_bucket_of_the_runbook_keeps_what_is_put_for_a_year(lab: Lab, bucket: str) -> None:
    s3 = lab.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 365}
    public = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(public.values()) == {True}
    s3.put_object(Bucket=bucket, Key="glidepath/a", Body=b"first")
    kept = s3.head_object(Bucket=bucket, Key="glidepath/a")
    assert kept["ObjectLockMode"] == "GOVERNANCE"
    left = kept["ObjectLockRetainUntilDate"] - datetime.now(timezone.utc)
    assert RETENTION - timedelta(minutes=5) < left <= RETENTION
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="glidepath/a", VersionId=kept["VersionId"])
    # The marker hides it, and it is still there.
    s3.delete_object(Bucket=bucket, Key="glidepath/a")
    assert s3.get_object(Bucket=bucket, Key="glidepath/a", VersionId=kept["VersionId"])["Body"].read() == b"first"


def test_what_is_put_if_it_is_not_there_is_put_once(lab: Lab, unique: str, bucket: str) -> None:
    """conditional-writes: 412 where there is one, and s3:PutObject is all that it asks for."""
    s3 = putting(lab, unique, bucket)
    key = "glidepath/2026/12/01/größe (1)+.jsonl"
    s3.put_object(Bucket=bucket, Key=key, Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed") as refused:
        s3.put_object(Bucket=bucket, Key=key, Body=b"second", IfNoneMatch="*")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    versions = lab.client("s3").list_object_versions(Bucket=bucket, Prefix="glidepath/")["Versions"]
    assert len(versions) == 1
    assert lab.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"first"


def test_a_role_puts_below_its_prefix_and_does_nothing_else(lab: Lab, unique: str, bucket: str) -> None:
    s3 = putting(lab, unique, bucket)
    s3.put_object(Bucket=bucket, Key="glidepath/a", Body=b"")
    for key in ("a", "glidepath", "other/glidepath/a"):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
    with pytest.raises(ClientError, match="AccessDenied|InvalidRequest"):
        s3.get_object(Bucket=bucket, Key="glidepath/a")
    with pytest.raises(ClientError, match="AccessDenied|InvalidRequest"):
        s3.delete_object(Bucket=bucket, Key="glidepath/a")
    with pytest.raises(ClientError, match="NoSuchBucket|AccessDenied"):
        s3.put_object(Bucket=f"{bucket}-other", Key="glidepath/a", Body=b"")


def test_a_bucket_that_is_not_there_is_said(lab: Lab, unique: str) -> None:
    s3 = putting(lab, unique, "nobody-s-bucket")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="nobody-s-bucket", Key="glidepath/a", Body=b"", IfNoneMatch="*")


def test_what_is_locked_for_a_time_needs_a_checksum(lab: Lab, unique: str, bucket: str) -> None:
    """object-lock-managing, "Uploading objects to an Object Lock enabled bucket"."""
    config = Config(request_checksum_calculation="when_required", retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    plain = boto3.client("s3", region_name=REGION, endpoint_url=lab.endpoint, config=config, **keys)
    with pytest.raises(ClientError, match="InvalidRequest"):
        plain.put_object(Bucket=bucket, Key="glidepath/a", Body=b"first")
    plain.put_object(Bucket=bucket, Key="glidepath/a", Body=b"first", ChecksumAlgorithm="SHA256")
    open_bucket = f"{unique}-{int(time.time())}"
    plain.create_bucket(Bucket=open_bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    plain.put_object(Bucket=open_bucket, Key="glidepath/a", Body=b"first")
