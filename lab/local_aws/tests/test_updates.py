"""Functions and stacks that are updated while they work."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local_aws.tests.functions import create_function, invoke, probe_zip
from local_aws.tests.support import PATIENCE_SECONDS, Lab, wait_for
from local_aws.tests.test_cloudformation import Stack

TEMPLATE = """
Parameters:
  Bucket: {Type: String}
  Key: {Type: String}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: 'sts:AssumeRole'}]
  Changed:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      Role: !GetAtt Role.Arn
      Timeout: 60
      Code: {S3Bucket: !Ref Bucket, S3Key: !Ref Key}
  Unchanged:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      Role: !GetAtt Role.Arn
      Timeout: 60
      Code: {S3Bucket: !Ref Bucket, S3Key: first.zip}
Outputs:
  Changed: {Value: !Ref Changed}
  Unchanged: {Value: !Ref Unchanged}
"""


def other_zip() -> bytes:
    """The probe as other code: it answers the same, but its package has one file more."""
    content = io.BytesIO(probe_zip())
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("version", "other")
    return content.getvalue()


def test_what_has_begun_ends_with_the_code_that_it_began_with(lab: Lab, unique: str, tmp_path: Path) -> None:
    create_function(lab, unique)
    before, _ = invoke(lab, unique, {"do": "process"})
    functions = lab.client("lambda")
    begun, end = tmp_path / "begun", tmp_path / "end"
    held = {"do": "hold", "begun": str(begun), "end": str(end)}
    with ThreadPoolExecutor() as pool:
        older = pool.submit(invoke, lab, unique, held)
        try:
            wait_for(begun.exists)
            functions.update_function_code(FunctionName=unique, ZipFile=other_zip())
            # Beside the older one, which still works.
            after, error = invoke(lab, unique, {"do": "process"})
        finally:
            end.touch()
        assert (error, older.result(timeout=PATIENCE_SECONDS)) == (None, (held, None))
    assert after != before
    # The older environment is idle by now, and is never used again.
    assert invoke(lab, unique, {"do": "process"}) == (after, None)
    functions.update_function_configuration(FunctionName=unique, Environment={"Variables": {"NEW": "1"}})
    variables, _ = invoke(lab, unique, {"do": "environment"})
    assert variables["NEW"] == "1"


def test_no_event_is_given_to_older_code_once_there_is_newer(lab: Lab, unique: str, tmp_path: Path) -> None:
    create_function(lab, unique)
    functions = lab.client("lambda")
    begun, end = tmp_path / "begun", tmp_path / "end"
    end.touch()
    held = json.dumps({"do": "hold", "begun": str(begun), "end": str(end)})
    # As an alarm does; ministack gives such an environment the function's own record.
    functions.invoke(FunctionName=unique, InvocationType="Event", Payload=held)
    older = int(wait_for(lambda: begun.exists() and begun.read_text()))
    # Until it has answered, another environment is at hand.
    wait_for(lambda: invoke(lab, unique, {"do": "process"}) == (older, None))
    functions.update_function_code(FunctionName=unique, ZipFile=other_zip())
    newer, error = invoke(lab, unique, {"do": "process"})
    assert error is None
    assert newer != older


def test_a_stack_updates_what_has_changed_and_nothing_else(lab: Lab, unique: str) -> None:
    bucket = f"{unique}-code"
    s3 = lab.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, content in (("first.zip", probe_zip()), ("second.zip", other_zip())):
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    stack = Stack(lab, unique)
    outputs = stack.create(TEMPLATE, Bucket=bucket, Key="first.zip")

    def codes() -> dict[str, Any]:
        functions = lab.client("lambda")
        names = (outputs["Changed"], outputs["Unchanged"])
        return {name: functions.get_function_configuration(FunctionName=name)["CodeSha256"] for name in names}

    def processes() -> list[Any]:
        return [invoke(lab, outputs[name], {"do": "process"})[0] for name in ("Changed", "Unchanged")]

    codes_before, (changed, unchanged) = codes(), processes()
    stack.update(TEMPLATE, Bucket=bucket, Key="second.zip")
    codes_after, (changed_after, unchanged_after) = codes(), processes()
    assert codes_after[outputs["Changed"]] != codes_before[outputs["Changed"]]
    assert codes_after[outputs["Unchanged"]] == codes_before[outputs["Unchanged"]]
    assert changed_after != changed
    assert unchanged_after == unchanged
    stack.delete()
