"""Calls in CBOR, as the SDK for Rust makes them to CloudWatch, need their permission like any other."""

from __future__ import annotations

import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import cbor2

from local_aws.tests.functions import allow, create_role
from local_aws.tests.support import REGION, Lab

PATH = "/service/GraniteServiceVersion20100801/operation/SetAlarmState"


def status_of(lab: Lab, role: str) -> int:
    """The status of a call of the role on an alarm that does not exist."""
    keys = lab.client("sts").assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
    credentials = botocore.credentials.Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    body = cbor2.dumps({"AlarmName": "none", "StateValue": "ALARM", "StateReason": "r"})
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    url = lab.client("sts").meta.endpoint_url + PATH
    request = botocore.awsrequest.AWSRequest("POST", url, headers, body)
    botocore.auth.SigV4Auth(credentials, "monitoring", REGION).add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(url, body, dict(prepared.headers.items()), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_call_in_cbor_needs_its_permission(lab: Lab, unique: str) -> None:
    assert status_of(lab, create_role(lab, f"{unique}-none", allow("sns:Publish"))) in (400, 403)
    assert status_of(lab, create_role(lab, f"{unique}-all", allow("cloudwatch:SetAlarmState"))) == 404
