#!/usr/bin/env bash
# ministack 1.5.33 (PyPI), a local AWS: in a stack, `!Ref` of an AWS::SecretsManager::Secret is the secret's name, and
# ExcludePunctuation leaves the punctuation in.
#
# CloudFormation's reference says that `Ref` returns the secret's ARN. A template that names the secret as the
# `Resource` of a policy by `!Ref`, as AWS's own examples do, works on AWS, and in the local AWS it grants nothing:
# `GetSecretValue` is denied where policies are enforced, and nothing fails where they are not. A template that was
# made to work there with `!Sub ...:secret:${Key}-??????` allows nothing on AWS. And a generated value that AWS keeps
# to letters and digits has characters that a URL or a shell takes for something else.
#
# Seen: Ref is no ARN, GetAtt Id is one; 256 characters without punctuation have some
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check ministack==1.5.33 boto3==1.43.106
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
GATEWAY_PORT=$port python/bin/python -m ministack >log 2>&1 &
server=$!
cat >see.py <<'PY'
import string
import sys
import time

import boto3

TEMPLATE = """
Resources:
  Key:
    Type: AWS::SecretsManager::Secret
    Properties:
      GenerateSecretString: {PasswordLength: 256, ExcludePunctuation: true}
Outputs:
  Ref: {Value: !Ref Key}
  Id: {Value: !GetAtt Key.Id}
"""
given = {
    "endpoint_url": f"http://127.0.0.1:{sys.argv[1]}",
    "region_name": "eu-west-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}
stacks, secrets = boto3.client("cloudformation", **given), boto3.client("secretsmanager", **given)
for _ in range(300):
    try:
        stacks.list_stacks()
        break
    except Exception:
        time.sleep(0.1)
stacks.create_stack(StackName="seen", TemplateBody=TEMPLATE)
stacks.get_waiter("stack_create_complete").wait(StackName="seen", WaiterConfig={"Delay": 1})
outputs = stacks.describe_stacks(StackName="seen")["Stacks"][0]["Outputs"]
found = {output["OutputKey"]: output["OutputValue"] for output in outputs}
value = secrets.get_secret_value(SecretId=found["Id"])["SecretString"]
print("Ref is", "an ARN" if found["Ref"].startswith("arn:") else "no ARN")
print("Id is", "an ARN" if found["Id"].startswith("arn:") else "no ARN")
print("punctuation:", "some" if set(value) & set(string.punctuation) else "none")
PY
python/bin/python see.py "$port" | tee seen
diff seen - <<'SEEN'
Ref is no ARN
Id is an ARN
punctuation: some
SEEN
