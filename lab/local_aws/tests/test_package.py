"""Packaging a SAM template, and that what it prints deploys and runs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local_aws.package import read_template, zip_bootstrap
from local_aws.tests.functions import invoke, probe_zip
from local_aws.tests.signing import call
from local_aws.tests.support import PACKAGE_PARENT, PATIENCE_SECONDS, Lab, wait_for

TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  Architecture: {Type: String, Default: arm64, AllowedValues: [arm64, x86_64]}
Globals:
  Function: {Runtime: provided.al2023, Handler: bootstrap, Timeout: 5, Architectures: [!Ref Architecture]}
Resources:
  Probe:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: probe}}
    Properties:
      CodeUri: .
      Environment: {Variables: {STACK: !Ref AWS::StackName, TABLE: !GetAtt Table.Arn}}
      FunctionUrlConfig: {AuthType: NONE}
      Policies:
        - Version: 2012-10-17
          Statement: [{Effect: Allow, Action: [dynamodb:GetItem], Resource: !Sub "${Table.Arn}"}]
      Events:
        Sweep: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machines/machine.asl.json
      DefinitionSubstitutions: {ProbeArn: !GetAtt Probe.Arn}
      Policies: [LambdaInvokePolicy: {FunctionName: !Ref Probe}]
Outputs:
  Machine: {Value: !Ref Machine}
  Function: {Value: !Ref Probe}
  Url: {Value: !GetAtt ProbeUrl.FunctionUrl}
"""
DEFINITION = {
    "QueryLanguage": "JSONata",
    "StartAt": "Only",
    "States": {
        "Only": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "${ProbeArn}", "Payload": {"do": "environment"}},
            "Output": "{% $states.result.Payload.STACK %}",
            "End": True,
        }
    },
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the template, its state machine and a built function."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines/machine.asl.json").write_text(json.dumps(DEFINITION))
    (tmp_path / "binaries").mkdir()
    (tmp_path / "binaries/probe").write_bytes(zipfile.ZipFile(io.BytesIO(probe_zip())).read("bootstrap"))
    return tmp_path


def run_package(lab: Lab, project: Path, bucket: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The command line."""
    arguments = {
        "endpoint": lab.endpoint,
        "template": project / "template.yaml",
        "binaries": project / "binaries",
        "bucket": bucket,
    }
    command = [
        sys.executable,
        "-m",
        "local_aws.package",
        *(part for name, value in arguments.items() for part in (f"--{name}", str(value))),
        *options,
    ]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(PACKAGE_PARENT)}, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )


def test_a_packaged_template_deploys_and_runs(lab: Lab, unique: str, project: Path) -> None:
    done = run_package(lab, project, unique)
    assert done.returncode == 0, done.stderr
    template = json.loads(done.stdout)
    assert template["Resources"]["Probe"]["Properties"]["CodeUri"].startswith(f"s3://{unique}/functions/probe-")
    stacks = lab.client("cloudformation")
    stacks.create_stack(
        StackName=unique,
        TemplateBody=done.stdout,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": "Architecture", "ParameterValue": "x86_64"}],
    )
    stacks.get_waiter("stack_create_complete").wait(StackName=unique, WaiterConfig={"Delay": 0.1, "MaxAttempts": 200})
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in stacks.describe_stacks(StackName=unique)["Stacks"][0]["Outputs"]
    }
    machines = lab.client("stepfunctions")
    execution = machines.start_execution(stateMachineArn=outputs["Machine"])["executionArn"]
    description: dict[str, Any] = wait_for(
        lambda: (found := machines.describe_execution(executionArn=execution))["status"] != "RUNNING" and found
    )
    assert description.get("output") == json.dumps(unique), description
    assert invoke(lab, outputs["Function"], {"do": "environment"})[0]["TABLE"].endswith(f":table/{_table(lab, unique)}")
    assert call(outputs["Url"], None).status == 200
    stacks.delete_stack(StackName=unique)
    stacks.get_waiter("stack_delete_complete").wait(StackName=unique, WaiterConfig={"Delay": 0.1, "MaxAttempts": 200})


def _table(lab: Lab, stack: str) -> str:
    resources = lab.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return str(
        next(resource["PhysicalResourceId"] for resource in resources if resource["LogicalResourceId"] == "Table")
    )


def test_an_unchanged_binary_is_uploaded_once(lab: Lab, unique: str, project: Path) -> None:
    first, second = run_package(lab, project, unique), run_package(lab, project, unique)
    assert first.stdout == second.stdout
    uploads = [
        line
        for line in lab.journal_lines(kind="call", service="s3", action="PutObject")
        if f"/{unique}/" in line["request"]["path"]
    ]
    assert len(uploads) == 3  # the function, the definition and the template


def test_another_version_of_the_same_sources_is_other_code(lab: Lab, unique: str, project: Path) -> None:
    own = json.loads(run_package(lab, project, unique).stdout)
    other = json.loads(run_package(lab, project, unique, "--as-version", "7.0.0").stdout)
    assert other["Outputs"]["Version"] == {"Value": "7.0.0"}
    assert other["Outputs"].keys() - own["Outputs"].keys() == {"Version"}

    def package(template: dict[str, Any]) -> tuple[str, bytes]:
        location = template["Resources"]["Probe"]["Properties"]["CodeUri"].removeprefix(f"s3://{unique}/")
        content = lab.client("s3").get_object(Bucket=unique, Key=location)["Body"].read()
        return location, zipfile.ZipFile(io.BytesIO(content)).read("bootstrap")

    def definition(template: dict[str, Any]) -> dict[str, Any]:
        key = template["Resources"]["Machine"]["Properties"]["DefinitionUri"]["Key"]
        found: dict[str, Any] = json.load(lab.client("s3").get_object(Bucket=unique, Key=key)["Body"])
        return found

    (own_key, own_binary), (other_key, other_binary) = package(own), package(other)
    assert other_key != own_key
    assert other_binary == own_binary
    assert definition(own) == DEFINITION
    assert definition(other) == {**DEFINITION, "Comment": "7.0.0"}


def test_a_missing_binary_is_a_clear_error(lab: Lab, unique: str, project: Path) -> None:
    (project / "binaries/probe").unlink()
    failed = run_package(lab, project, unique)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == f"local_aws.package: Probe: there is no binary {project}/binaries/probe\n"


def test_short_tags_and_dates(project: Path) -> None:
    template = read_template(project / "template.yaml")
    function = template["Resources"]["Probe"]["Properties"]
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert function["Environment"]["Variables"] == {
        "STACK": {"Ref": "AWS::StackName"},
        "TABLE": {"Fn::GetAtt": ["Table", "Arn"]},
    }
    assert function["Policies"][0]["Version"] == "2012-10-17"
    assert function["Policies"][0]["Statement"][0]["Resource"] == {"Fn::Sub": "${Table.Arn}"}
    assert template["Globals"]["Function"]["Architectures"] == [{"Ref": "Architecture"}]


def test_the_zip_holds_an_executable_bootstrap() -> None:
    content = zip_bootstrap(b"binary")
    assert content == zip_bootstrap(b"binary")
    (entry,) = zipfile.ZipFile(io.BytesIO(content)).infolist()
    assert (entry.filename, entry.external_attr >> 16) == ("bootstrap", 0o100755)
