"""``python -m local_aws.package``: what ``sam build`` and ``sam package`` do to a template, for the lab.

Reads a SAM template, puts the binary of each Rust function (``Metadata: BuildMethod: rust-cargolambda``)
as a zip into a bucket of the lab, and the definitions of state machines as well; prints the template, as
JSON, with CodeUri and DefinitionUri pointing there. Nothing else in the template changes. It is in the bucket,
too, as ``templates/SHA256.json``: in a call CloudFormation takes 51,200 bytes of a template, from a bucket a
megabyte, as ``sam deploy`` hands it over.

Objects are named after their content, so an unchanged binary is uploaded once.

``--as-version`` makes another version of the same sources: the stack says it, it is the definition's comment,
and a file in every zip, so that all code is other code.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

FUNCTION = "AWS::Serverless::Function"
STATE_MACHINE = "AWS::Serverless::StateMachine"
BUILD_METHOD = "rust-cargolambda"
EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
EXECUTABLE = 0o100755 << 16
Template = dict[str, Any]


class PackageError(RuntimeError):
    """The template asks for something that cannot be packaged."""


class _TemplateLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short tags, and with dates left as text (``Version: 2012-10-17``)."""


_TemplateLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    """``!Ref X`` as ``{"Ref": "X"}``, ``!GetAtt A.B`` as ``{"Fn::GetAtt": ["A", "B"]}``, and so on."""
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _short_tag)


class Bucket:
    """The bucket that packages go to; made when it is missing."""

    def __init__(self, endpoint: str, region: str, name: str) -> None:
        self.name = name
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}),
        )
        if not self._exists():
            self._client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})

    def _exists(self, key: str | None = None) -> bool:
        try:
            if key is None:
                self._client.head_bucket(Bucket=self.name)
            else:
                self._client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def has(self, key: str) -> bool:
        """Whether there is such an object."""
        return self._exists(key)

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._client.put_object(Bucket=self.name, Key=key, Body=content)


def template_key(template: str) -> str:
    """Where a packaged template is in its bucket."""
    return f"templates/{hashlib.sha256(template.encode()).hexdigest()}.json"


def read_template(path: Path) -> Template:
    """A template in YAML or JSON."""
    template = yaml.load(path.read_text(encoding="utf-8"), _TemplateLoader)
    if not isinstance(template, dict) or "Resources" not in template:
        raise PackageError(f"{path} is no template: it has no Resources")
    return template


def zip_bootstrap(binary: bytes, as_version: str | None = None) -> bytes:
    """A deployment package with the binary as ``bootstrap``; the same for the same binary and version.

    It is not compressed: each lab uploads and unpacks all of them, which would take longer than anything else.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap", EARLIEST_ZIP_DATE)
        entry.external_attr = EXECUTABLE
        archive.writestr(entry, binary)
        if as_version is not None:
            archive.writestr(zipfile.ZipInfo("version", EARLIEST_ZIP_DATE), as_version)
    return content.getvalue()


def _package_function(
    name: str, resource: Template, binaries: Path, bucket: Bucket, as_version: str | None
) -> None:
    metadata = resource.get("Metadata") or {}
    if metadata.get("BuildMethod") != BUILD_METHOD:
        raise PackageError(f"{name}: Metadata.BuildMethod is not {BUILD_METHOD}")
    path = binaries / str((metadata.get("BuildProperties") or {}).get("Binary", name))
    if not path.is_file():
        raise PackageError(f"{name}: there is no binary {path}")
    package = zip_bootstrap(path.read_bytes(), as_version)
    key = f"functions/{path.name}-{hashlib.sha256(package).hexdigest()}.zip"
    if not bucket.has(key):
        bucket.put(key, package)
    resource["Properties"]["CodeUri"] = f"s3://{bucket.name}/{key}"


def _package_state_machine(
    name: str, resource: Template, directory: Path, bucket: Bucket, as_version: str | None
) -> None:
    location = resource["Properties"].get("DefinitionUri")
    if not isinstance(location, str) or location.startswith("s3://"):
        return
    path = directory / location
    if not path.is_file():
        raise PackageError(f"{name}: there is no definition {path}")
    content = path.read_bytes()
    if as_version is not None:
        definition = json.loads(content)
        content = json.dumps({**definition, "Comment": as_version}).encode()
    key = f"statemachines/{hashlib.sha256(content).hexdigest()}{path.suffix}"
    if not bucket.has(key):
        bucket.put(key, content)
    resource["Properties"]["DefinitionUri"] = {"Bucket": bucket.name, "Key": key}


def package(
    template: Template, directory: Path, binaries: Path, bucket: Bucket, as_version: str | None = None
) -> Template:
    """A copy of the template whose functions and state machines are in the bucket.

    Paths in the template are relative to ``directory``.
    """
    packaged = copy.deepcopy(template)
    if as_version is not None:
        packaged.setdefault("Outputs", {})["Version"] = {"Value": as_version}
    for name, resource in packaged["Resources"].items():
        if resource["Type"] == FUNCTION:
            _package_function(name, resource, binaries, bucket, as_version)
        elif resource["Type"] == STATE_MACHINE:
            _package_state_machine(name, resource, directory, bucket, as_version)
    return packaged


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m local_aws.package", description="Package a SAM template for the lab."
    )
    parser.add_argument("--endpoint", required=True, help="the lab's endpoint")
    parser.add_argument("--template", required=True, type=Path)
    parser.add_argument("--binaries", required=True, type=Path, help="directory of the built functions")
    parser.add_argument("--bucket", required=True, help="made when it is missing")
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--as-version", help="what the stack shall say that it is")
    arguments = parser.parse_args()
    try:
        template = read_template(arguments.template)
        bucket = Bucket(arguments.endpoint, arguments.region, arguments.bucket)
        directory = arguments.template.resolve().parent
        packaged = package(template, directory, arguments.binaries, bucket, arguments.as_version)
    except (PackageError, yaml.YAMLError, OSError) as error:
        print(f"local_aws.package: {error}", file=sys.stderr)
        return 2
    text = json.dumps(packaged, separators=(",", ":"))
    if not bucket.has(template_key(text)):
        bucket.put(template_key(text), text.encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
