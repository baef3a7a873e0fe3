"""Functions with URLs, and what their callers need."""

from __future__ import annotations

from typing import Any

from local_aws.tests.functions import Statement, allow, create_function, function_arn
from local_aws.tests.support import Lab

FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}
DENIED = (403, "AccessDeniedException")
NOT_PROVEN = (403, "InvalidSignatureException")
UNKNOWN_KEY = (403, "UnrecognizedClientException")
VIA_URL = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}


def create_url(lab: Lab, name: str, auth_type: str = "AWS_IAM", **configuration: Any) -> str:
    """A function with a URL."""
    create_function(lab, name, **configuration)
    url: str = lab.client("lambda").create_function_url_config(FunctionName=name, AuthType=auth_type)["FunctionUrl"]
    return url


def open_to_everybody(lab: Lab, name: str) -> None:
    """The two statements of a public URL."""
    functions = lab.client("lambda")
    for sid, action, condition in (
        ("url", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("invoke", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ):
        functions.add_permission(FunctionName=name, StatementId=sid, Action=action, Principal="*", **condition)


def statements(name: str, *, invoke: Statement | None = None) -> list[Statement]:
    """What somebody needs who may call by the URL and in no other way."""
    arn = function_arn(name)
    return [
        allow("lambda:InvokeFunctionUrl", resource=arn)
        | {"Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}},
        allow("lambda:InvokeFunction", resource=arn) | (invoke or {"Condition": VIA_URL}),
    ]
