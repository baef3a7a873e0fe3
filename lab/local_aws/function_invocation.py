"""How other services invoke a function asynchronously: with its permission, its retries, its DLQ."""

from __future__ import annotations

from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc

from local_aws.function_policies import policy_of


class NotDelivered(Exception):
    """The target did not take the event; ``code`` is what a dead-letter queue shows."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invoke_asynchronously(function: str, event: Any, service: str, source_arn: str) -> None:
    """Queue an event for a function, as ``service`` acting for ``source_arn``.

    Raises NotDelivered where AWS would not even queue it: an unknown function, or a resource policy
    that does not let the service in. What the function then makes of it is Lambda's business.
    """
    record, config, name = lambda_svc._get_func_record_for_ref(function)
    if not record or not config:
        raise NotDelivered("RESOURCE_NOT_FOUND", f"function {name} does not exist")
    context = EvalContext(
        principal_arn=f"service:{service}",
        principal_type="Service",
        principal_account=get_account_id(),
        action="lambda:InvokeFunction",
        resource_arn=function,
        region=get_region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()},
    )
    if evaluate_resource_policy(policy_of(function), context, service=service).decision != "Allow":
        raise NotDelivered("NO_PERMISSIONS", f"{service} may not invoke {function} for {source_arn}")
    execution = lambda_svc._execution_record_for_config(record, config)
    lambda_svc.invoke_async_with_retry(execution, event)
