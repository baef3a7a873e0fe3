"""Calls as a role."""

from __future__ import annotations

from typing import Any

from local_aws.tests.support import Lab

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}


def role_client(lab: Lab, role: str, service: str) -> Any:
    """A client with a session of the role."""
    keys = lab.client("sts").assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
    return lab.client(
        service,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def code_of(lab: Lab, role: str, service: str, operation: str, parameters: dict[str, Any]) -> str | None:
    """The error code of a call as the role, None if it worked."""
    client = role_client(lab, role, service)
    try:
        getattr(client, operation)(**parameters)
    except client.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return None
