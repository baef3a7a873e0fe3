"""Requests that somebody has signed with Signature Version 4, held to it.

The API's own requests are verified by ministack, which believes the lab's root whatever its signature says and takes
the hash of a body from its header. What is verified here is an identity that a function is handed, so nothing of it
is believed: the signature is computed again with the secret key that this lab's IAM or STS gave out, and over the
body that arrived.

IAM User Guide, "Create a signed AWS API request": ``host`` and every ``x-amz-*`` header of a request must be signed.
Lambda's window is five minutes (re:Post, "native lambda error: InvalidSignatureException"). "Lambda doesn't support
unsigned payloads" (CloudFront Developer Guide, "Restrict access to an AWS Lambda function URL origin").
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from ministack.core import sigv4
from ministack.core.iam_evaluator import (
    AmbiguousAccessKeyError,
    CredentialResolutionError,
    ResolvedCredential,
    find_iam_access_key_account,
    resolve_credential,
)
from ministack.core.responses import _account_from_sts_session

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
DATE = re.compile(r"\d{8}T\d{6}Z")
# ministack's codes are those of services with a query API.
CODES = {
    "CredentialDateMismatch": "InvalidSignatureException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "InvalidToken": "UnrecognizedClientException",
    "MissingAuthorizationParameter": "IncompleteSignatureException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


@dataclass(frozen=True)
class Request:
    """A request as it arrived: header names in lower case, several values of one joined by commas."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class NotSigned(Exception):
    """A request without a signature in its headers."""


class NotProven(Exception):
    """A signature that proves nothing; ``code`` is that of the service's exception."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = CODES.get(code, code)
        self.message = message


def proven_caller(request: Request, service: str, region: str, account: str) -> ResolvedCredential:
    """Whose signature a request has. ``account`` is the one that the request is for."""
    if not request.headers.get("authorization", "").startswith(f"{ALGORITHM} "):
        raise NotSigned
    signature = sigv4.parse_header_signature(request.headers)
    if isinstance(signature, tuple):
        raise NotProven(*signature)
    if DATE.fullmatch(signature.amz_date) is None:
        raise NotProven("IncompleteSignature", f"Date must be in ISO-8601 'basic format'. Got '{signature.amz_date}'.")
    _check_scope(request, signature, service, region)
    _check_signed_headers(request, signature)
    skewed = sigv4.request_time_failure(signature)
    if skewed is not None:
        raise NotProven(*skewed)
    credential = _credential(signature.access_key_id, request.headers.get("x-amz-security-token", ""), account)
    path, _, query = request.target.partition("?")
    failure = sigv4.header_signature_failure(
        signature,
        credential.secret_access_key,
        request.method,
        path,
        parse_qs(query, keep_blank_values=True),
        request.headers,
        request.body,
    )
    if failure is not None:
        raise NotProven(*failure)
    stated = request.headers.get("x-amz-content-sha256")
    if stated is not None and not hmac.compare_digest(stated, hashlib.sha256(request.body).hexdigest()):
        raise NotProven("InvalidSignatureException", sigv4.SIGNATURE_MISMATCH)
    return credential


def _check_scope(request: Request, signature: sigv4.HeaderSignature, service: str, region: str) -> None:
    terminator = request.headers["authorization"].partition("Credential=")[2].partition(",")[0].rpartition("/")[2]
    for found, needed, words in (
        (signature.region, region, "a valid region. "),
        (signature.service, service, f"correct service: '{service}'. "),
        (terminator.strip(), TERMINATOR, f"a valid terminator: '{TERMINATOR}'. "),
    ):
        if found != needed:
            raise NotProven("InvalidSignatureException", f"Credential should be scoped with {words}")


def _check_signed_headers(request: Request, signature: sigv4.HeaderSignature) -> None:
    signed = signature.signed_headers.lower().split(";")
    for name in ("host", *(name for name in request.headers if name.startswith("x-amz-"))):
        if name not in signed:
            words = f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
            raise NotProven("InvalidSignatureException", words)


def _credential(key: str, token: str, account: str) -> ResolvedCredential:
    if not key:
        # ministack would take it for the root's.
        raise NotProven("UnrecognizedClientException", "The security token included in the request is invalid.")
    try:
        owner = _account_from_sts_session(key) or find_iam_access_key_account(key) or account
    except AmbiguousAccessKeyError:
        owner = account
    found = resolve_credential(key, owner, token)
    if isinstance(found, CredentialResolutionError):
        raise NotProven(found.code, found.message)
    return found
