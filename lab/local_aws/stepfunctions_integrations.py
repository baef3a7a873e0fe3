"""How a state machine calls other services: over HTTP like everybody, as its own role.

ministack calls the services within the process with nobody's identity, so that a role without
``lambda:InvokeFunction`` would work in the lab and fail on AWS.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import botocore.session
import moto.stepfunctions.parser.asl.utils.boto_client as boto_client
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as aws_sdk
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService

from local_aws.replacing import ReplacementError, replace
from local_aws.role_clients import client_as
from local_aws.settings import Settings

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


@cache
def _operations(service: str) -> tuple[ServiceModel, dict[str, str]]:
    """botocore's model of a service, and its operations by the name of their Python method."""
    model = botocore.session.get_session().get_service_model(service)
    return model, {xform_name(name): name for name in model.operation_names}


def _operation(state: StateTaskService, service: str | None, action: str | None) -> OperationModel | None:
    """botocore's model of the operation that a task calls."""
    model, operations = _operations(state._get_boto_service_name(service))
    name = operations.get(state._get_boto_service_action(action))
    return model.operation_model(name) if name else None


def _normalize_parameters(
    self: StateTaskService,
    parameters: dict[str, Any],
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    """Step Functions' PascalCase parameters in the API's own spelling; moto left this step out."""
    model = _operation(self, boto_service_name, service_action_name)
    if model is not None and model.input_shape is not None:
        self._to_boto_request(parameters, model.input_shape)


def _normalize_response(
    self: StateTaskService, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """And the API's answer in Step Functions' spelling."""
    model = _operation(self, boto_service_name, service_action_name)
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
        return client_as(state_credentials.role_arn, settings.endpoint, region, SERVICE_NAMES.get(service, service))

    original = replace(boto_client, "boto_client_for", client_for, expects=("region", "service", "state_credentials"))
    importers = [
        module
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("moto.stepfunctions")
        and getattr(module, "boto_client_for", None) is original
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
