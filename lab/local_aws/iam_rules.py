"""Permissions that a call needs beside the one of its own name, which no published data have.

Each rule says where it is from. Whoever misses one gets the answer that the service gives for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs, iam, kms, secretsmanager, sns

from local_aws.calls import Call

ANY = "*"
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"
SCALING_PRINCIPAL = "ecs.application-autoscaling.amazonaws.com"
# CloudWatch API Reference, DescribeAlarms: "To ... return information about composite alarms, you must be
# signed on with the cloudwatch:DescribeAlarms permission that is scoped to *. You can't return information
# about composite alarms if your cloudwatch:DescribeAlarms permission has a narrower scope." The other two
# are described in the same words. The reference of actions has the resource type alarm for all three. Which
# of the two holds for a call that asks for metric alarms only is not said; only what is allowed on * passes
# on both readings.
ONLY_ANY = frozenset({"cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms", "cloudwatch:PutCompositeAlarm"})


@dataclass(frozen=True)
class Refusal:
    """What a service answers that was denied something on the caller's behalf."""

    status: int
    code: str
    words: str | None = None
    """None: what IAM says."""


@dataclass(frozen=True)
class Requirement:
    """A permission on a resource, with the condition keys that the check has."""

    permission: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)
    refusal: Refusal | None = None
    """None: the service's own AccessDenied."""


Request = Mapping[str, Any]


def beyond_its_own(call: Call) -> list[Requirement]:
    """What a call needs beside the permission of its own name."""
    rule = RULES.get(call.permission)
    return list(rule(call.request)) if rule is not None else []


def _roles_of_the_task_definition(request: Request) -> Iterator[Requirement]:
    """iam:PassRole on both roles of a task definition that UpdateService names.

    keidarcy/e1s issue 429: the same user may update the desired count, and with the task definition in the
    call is refused: "AccessDeniedException: ... is not authorized to perform: iam:PassRole on resource:
    arn:aws:iam::...:role/..."; its number 430 therefore sends the task definition only when it changes. The
    service that the role is passed to is the one that tasks assume it as (ECS Developer Guide, "Amazon ECS
    task execution IAM role"): ecs-tasks.amazonaws.com.
    """
    name = request.get("taskDefinition")
    definition = ecs._task_defs.get(ecs._resolve_td_key(name)) if name else None
    if definition is not None:
        yield from _passed_to_tasks(definition)


def _passed_to_tasks(definition: Mapping[str, Any]) -> Iterator[Requirement]:
    roles = [definition.get(field) for field in ("executionRoleArn", "taskRoleArn")]
    for role in dict.fromkeys(role for role in roles if role):
        arn = role if role.startswith("arn:") else f"arn:aws:iam::{get_account_id()}:role/{role}"
        context = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        yield Requirement("iam:PassRole", arn, context, Refusal(400, "AccessDeniedException"))


def _registration_of_a_task_definition(request: Request) -> Iterator[Requirement]:
    """iam:PassRole on both roles that RegisterTaskDefinition names, and ecs:TagResource if it gives tags.

    ECS Developer Guide, "Amazon ECS task execution IAM role" and "Amazon ECS task IAM role": whoever registers a
    task definition with a role needs iam:PassRole on it. The same, "Grant permission to tag resources on creation":
    ecs:TagResource is checked of an action that creates with tags, and ecs:CreateAction names that action.
    """
    refusal = Refusal(400, "AccessDeniedException")
    if request.get("tags"):
        arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:task-definition/{request.get('family')}:*"
        yield Requirement("ecs:TagResource", arn, {"ecs:CreateAction": "RegisterTaskDefinition"}, refusal)
    yield from _passed_to_tasks(request)


def _user_pools(request: Request) -> Iterator[Requirement]:
    """cognito-idp:DescribeUserPoolClient of whoever writes an action that authenticates with Cognito.

    awslabs/kubeflow-manifests issue 18: ModifyRule and its like are answered with "InvalidLoadBalancerAction:
    User is not authorized to perform 'describeUserPoolClient'". The policy that AWS publishes for its load
    balancer controller has the permission for the same reason.
    """
    for action in request.get("Actions") or request.get("DefaultActions") or []:
        config = action.get("AuthenticateCognitoConfig")
        if isinstance(config, Mapping) and config.get("UserPoolArn"):
            words = "User is not authorized to perform 'describeUserPoolClient'"
            yield Requirement(
                "cognito-idp:DescribeUserPoolClient",
                str(config["UserPoolArn"]),
                refusal=Refusal(400, "InvalidLoadBalancerAction", words),
            )


def _key(identifier: str | None) -> str | None:
    """The ARN of a customer managed key; those that AWS manages let in everybody who may use the service."""
    if not identifier or identifier.rpartition(":")[2].startswith("alias/aws/"):
        return None
    record = kms._resolve_key(identifier)
    if record is not None:
        return str(record["Arn"])
    scope = f"arn:aws:kms:{get_region()}:{get_account_id()}"
    return identifier if identifier.startswith("arn:") else f"{scope}:key/{identifier}"


def _key_context(service: str, **encryption: str) -> dict[str, str]:
    names = {f"kms:EncryptionContext:{name.replace('_', ':')}": value for name, value in encryption.items()}
    return {
        "kms:CallerAccount": get_account_id(),
        "kms:ViaService": f"{service}.{get_region()}.amazonaws.com",
        **names,
    }


def _key_of_the_topic(request: Request) -> Iterator[Requirement]:
    """SNS Developer Guide, "Managing Amazon SNS encryption keys": the publisher must have
    kms:GenerateDataKey* and kms:Decrypt for the key. The code is the API's KMSAccessDeniedException."""
    arn = request.get("TopicArn") or request.get("TargetArn") or ""
    topic = sns._topics.get(arn)
    key = _key(topic["attributes"].get("KmsMasterKeyId")) if topic else None
    if key is not None:
        context = _key_context("sns", aws_sns_topicArn=arn)
        for permission in ("kms:GenerateDataKey", "kms:Decrypt"):
            yield Requirement(permission, key, context, Refusal(400, "KMSAccessDenied"))


def _key_of_the_secret(request: Request) -> Iterator[Requirement]:
    """Secrets Manager User Guide, "Secret encryption and decryption": it uses the key "on behalf of the user
    who is accessing ... the secret value", and GetSecretValue calls Decrypt. Many have met its answer to
    whoever may not: AccessDeniedException, "Access to KMS is not allowed"."""
    _, secret = secretsmanager._resolve(request.get("SecretId"))
    key = _key(secret.get("KmsKeyId")) if secret else None
    if secret is not None and key is not None:
        context = _key_context("secretsmanager", SecretARN=secret["ARN"])
        refusal = Refusal(400, "AccessDeniedException", "Access to KMS is not allowed")
        yield Requirement("kms:Decrypt", key, context, refusal)


def _rights_on_the_scaled_service(request: Request) -> Iterator[Requirement]:
    """Application Auto Scaling User Guide, security_iam_permission_validation: it "validates permissions for requests
    associated with both the target service and CloudWatch before proceeding with the request", with calls in the
    caller's name, and answers a ValidationException. These five are "all ECS and CloudWatch API actions that are
    required" (security_iam_id-based-policy-examples), for scheduled actions too. Of its calls to CloudWatch two name
    no alarm, so that what is allowed on some alarms only may not do. The words are those of
    awsdocs/aws-auto-scaling-user-guide#3.
    """
    cluster, _, service = str(request.get("ResourceId", "")).removeprefix("service/").partition("/")
    scope = f"arn:aws:ecs:{get_region()}:{get_account_id()}"
    context = {"ecs:cluster": f"{scope}:cluster/{cluster}"}
    for permission in ("ecs:DescribeServices", "ecs:UpdateService"):
        yield _needed(permission, f"{scope}:service/{cluster}/{service}", context)
    for permission in ("cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"):
        yield _needed(permission, ANY, {"aws:ViaAWSService": "true"})


def _needed(permission: str, resource: str, context: Mapping[str, Any]) -> Requirement:
    words = f"User is missing the following permissions: [{permission}]"
    return Requirement(permission, resource, context, Refusal(400, "ValidationException", words))


def _registration(request: Request) -> Iterator[Requirement]:
    """And iam:CreateServiceLinkedRole while the role that scales does not exist: "the first time any user in your AWS
    account calls RegisterScalableTarget for a given service" (application-auto-scaling-service-linked-roles)."""
    yield from _rights_on_the_scaled_service(request)
    if SCALING_ROLE not in iam._roles:
        role = f"arn:aws:iam::{get_account_id()}:role/aws-service-role/{SCALING_PRINCIPAL}/{SCALING_ROLE}"
        yield Requirement("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": SCALING_PRINCIPAL})


RULES: Mapping[str, Callable[[Request], Iterator[Requirement]]] = {
    "application-autoscaling:PutScalingPolicy": _rights_on_the_scaled_service,
    "application-autoscaling:PutScheduledAction": _rights_on_the_scaled_service,
    "application-autoscaling:RegisterScalableTarget": _registration,
    "ecs:RegisterTaskDefinition": _registration_of_a_task_definition,
    "ecs:UpdateService": _roles_of_the_task_definition,
    "elasticloadbalancing:CreateListener": _user_pools,
    "elasticloadbalancing:CreateRule": _user_pools,
    "elasticloadbalancing:ModifyListener": _user_pools,
    "elasticloadbalancing:ModifyRule": _user_pools,
    "secretsmanager:GetSecretValue": _key_of_the_secret,
    "sns:Publish": _key_of_the_topic,
}
