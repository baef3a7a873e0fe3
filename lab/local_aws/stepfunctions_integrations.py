"""How a state machine calls other services: over HTTP like everybody, as its own role.

ministack calls the services within the process with nobody's identity, so that a role without
``lambda:InvokeFunction`` would work in the lab and fail on AWS.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from typing import Any

import boto3
import moto.stepfunctions.parser.asl.utils.boto_client as boto_client
from botocore.config import Config
from ministack.services import sts
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as aws_sdk
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService

from local_aws.replacing import ReplacementError, replace
from local_aws.settings import Settings

LONGEST_CALL_SECONDS = 960
SERVICE_NAMES = {"elasticloadbalancingv2": "elbv2", "eventbridge": "events", "cloudwatchlogs": "logs"}
BOTO_NAMES = {"sfn": "stepfunctions", "states": "stepfunctions", **SERVICE_NAMES}
# How AWS spells the service in error names, as far as moto does not know it: ``Ecs.ClusterNotFoundException``.
ERROR_PREFIXES = {
    "cloudwatch": "CloudWatch",
    "ecs": "Ecs",
    "elasticloadbalancingv2": "ElasticLoadBalancingV2",
    "eventbridge": "EventBridge",
    "lambda": "Lambda",
    "s3": "S3",
    "scheduler": "Scheduler",
    "secretsmanager": "SecretsManager",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
}

_lock = threading.Lock()
_clients: dict[tuple[str, str, str], Any] = {}


def _credentials(role: str) -> dict[str, str]:
    """A session of the role, the same every time; it is registered again because a reset forgets it."""
    account, name = role.split(":")[4], role.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"state machine role {role}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], hashlib.sha256(digest.encode()).hexdigest()
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/state-machine",
        "UserId": f"{name}:state-machine",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key, session)
    return {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}


def _normalize(state: StateTaskService, service: str | None, action: str | None) -> Any:
    """botocore's model of the operation that a task calls."""
    client = boto_client.boto_client_for("us-east-1", state._get_boto_service_name(service))
    name = client.meta.method_to_api_mapping.get(state._get_boto_service_action(action))
    return client.meta.service_model.operation_model(name) if name else None


def _normalize_parameters(
    self: StateTaskService, parameters: dict[str, Any], boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """Step Functions' PascalCase parameters in the API's own spelling; moto left this step out."""
    model = _normalize(self, boto_service_name, service_action_name)
    if model is not None and model.input_shape is not None:
        self._to_boto_request(parameters, model.input_shape)


def _normalize_response(
    self: StateTaskService, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """And the API's answer in Step Functions' spelling."""
    model = _normalize(self, boto_service_name, service_action_name)
    if model is not None and model.output_shape is not None:
        self._from_boto_response(response, model.output_shape)


def _exception_name(norm_service_name: str, ex: Any) -> str:
    """moto names an error after its Python class, which for most is only ``ClientError``."""
    name = type(ex).__name__
    if name == "ClientError":
        name = ex.response["Error"]["Code"].rsplit("#", 1)[-1].rsplit(".", 1)[-1]
    return f"{norm_service_name}.{name if name.endswith('Exception') else name + 'Exception'}"


def install(settings: Settings) -> None:
    """Replace the client factory wherever moto imported it, and put the normalisation back."""

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        name = SERVICE_NAMES.get(service, service)
        role = getattr(state_credentials, "role_arn", "") or ""
        keys = _credentials(role) if role else {"aws_access_key_id": settings.account, "aws_secret_access_key": "test"}
        with _lock:
            client = _clients.get((region, name, role))
            if client is None:
                config = Config(
                    parameter_validation=False,
                    retries={"total_max_attempts": 1},
                    read_timeout=LONGEST_CALL_SECONDS,
                    max_pool_connections=100,
                    inject_host_prefix=False,
                )
                client = boto3.session.Session().client(
                    name, region_name=region, endpoint_url=settings.endpoint, config=config, **keys
                )
                _clients[region, name, role] = client
        return client

    original = replace(boto_client, "boto_client_for", client_for, expects=("region", "service", "state_credentials"))
    importers = [
        module
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("moto.stepfunctions") and getattr(module, "boto_client_for", None) is original
    ]
    if not any(module.__name__.endswith("lambda_eval_utils") for module in importers):
        raise ReplacementError("moto's lambda_eval_utils does not import boto_client_for")
    for module in importers:
        replace(module, "boto_client_for", client_for, expects=("region", "service", "state_credentials"))
    StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES.update(BOTO_NAMES)
    expects = ("self", "parameters", "boto_service_name", "service_action_name")
    replace(StateTaskService, "_normalise_parameters", _normalize_parameters, expects=expects)
    expects = ("self", "response", "boto_service_name", "service_action_name")
    replace(StateTaskService, "_normalise_response", _normalize_response, expects=expects)
    aws_sdk._SERVICE_ERROR_NAMES.update(ERROR_PREFIXES)
    task = aws_sdk.StateTaskServiceAwsSdk
    replace(task, "_normalise_exception_name", staticmethod(_exception_name), expects=("norm_service_name", "ex"))
