"""An issuer of OpenID Connect for the tests: authlib's, with a login form and people in memory.

It is as strict as the texts: a redirect URI to the letter, PKCE with S256, a client's secret in a header, a nonce, and
each code once and not for long. It says who it is when it sends somebody back (RFC 9207). Called with its client's id,
secret and redirect URI; it prints its own URL once it listens.
"""

from __future__ import annotations

import html
import logging
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Any

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import OpenIDCode
from flask import Flask, Response, jsonify, request
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET, REDIRECT_URI = sys.argv[1:4]
KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
PASSWORD = "correct horse"
PEOPLE = {
    "ada": {"groups": ["staff", "release"]},
    "bob": {"groups": ["staff", "release"]},
    "eve": {"groups": ["staff"]},
    "nia": {},
    "stray": {"groups": ["staff", "release"]},
    "late": {"groups": ["staff", "release"]},
}
# Whose tokens are another client's, and whose codes nobody brings in time.
OTHER_AUDIENCES = {"stray": "another"}
LIFETIMES = {"late": 0}
# The longest that RFC 6749 recommends, in seconds: a machine under load is slow.
LIFETIME = 600

app = Flask(__name__)
codes: dict[str, Code] = {}
issuer = ""


@dataclass
class Person:
    """Somebody with an account."""

    name: str

    def get_user_id(self) -> str:
        return self.name


class Client(ClientMixin):
    """The one client."""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str | None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(part for part in scope.split() if part in ("openid", "groups"))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == REDIRECT_URI

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret, CLIENT_SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    """A code that was not exchanged yet."""

    code: str
    name: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    expires_at: float
    auth_time: int = field(default_factory=lambda: int(time.time()))

    def is_expired(self) -> bool:
        return time.time() >= self.expires_at

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Grant(AuthorizationCodeGrant):
    """Codes, each for once."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

    def save_authorization_code(self, code: str, request: Any) -> None:
        data = request.payload.data
        codes[code] = Code(
            code,
            request.user.name,
            request.payload.redirect_uri,
            request.payload.scope,
            data["nonce"],
            data["code_challenge"],
            data["code_challenge_method"],
            time.time() + LIFETIMES.get(request.user.name, LIFETIME),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = codes.get(code)
        return None if found is None or found.is_expired() else found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> Person:
        return Person(authorization_code.name)


class Tokens(OpenIDCode):
    """ID tokens."""

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return any(code.nonce == nonce for code in codes.values())

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return KEY

    def get_client_algorithm(self, client: Client) -> str:
        return "RS256"

    def get_encode_header(self, client: Client) -> dict[str, str]:
        return {"alg": "RS256", "kid": KEY.kid}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300}

    def generate_user_info(self, user: Person, scope: str) -> dict[str, Any]:
        claims = {"sub": user.name} | (PEOPLE[user.name] if "groups" in scope.split() else {})
        # What stands here is written over the client's claims.
        return claims | ({"aud": OTHER_AUDIENCES[user.name]} if user.name in OTHER_AUDIENCES else {})


class Named(IssuerParameter):
    """Says who it is."""

    def get_issuer(self) -> str:
        return issuer


server = AuthorizationServer(
    app,
    query_client=lambda client_id: Client() if client_id == CLIENT_ID else None,
    save_token=lambda token, request: None,
)
server.register_grant(Grant, [Tokens(require_nonce=True), CodeChallenge(required=True)])
server.register_extension(Named())


@app.get("/.well-known/openid-configuration")
def description() -> Response:
    return jsonify(
        issuer=issuer,
        authorization_endpoint=f"{issuer}/authorize",
        token_endpoint=f"{issuer}/token",
        jwks_uri=f"{issuer}/jwks",
        response_types_supported=["code"],
        scopes_supported=["openid", "groups"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256"],
        token_endpoint_auth_methods_supported=["client_secret_basic"],
        authorization_response_iss_parameter_supported=True,
    )


@app.get("/jwks")
def jwks() -> Response:
    return jsonify(keys=[KEY.as_dict(private=False)])


@app.route("/authorize", methods=["GET", "POST"])
def authorize() -> Any:
    grant = server.get_consent_grant(end_user=None)
    name = request.form.get("name", "")
    if request.method == "POST" and name in PEOPLE and request.form.get("password") == PASSWORD:
        return server.create_authorization_response(grant_user=Person(name), grant=grant)
    if request.method == "POST" and request.form.get("cancel"):
        return server.create_authorization_response(grant_user=None, grant=grant)
    action = html.escape(request.full_path)
    return (
        f"<!DOCTYPE html><title>Sign in</title><form method='post' action='{action}'>"
        "<input name='name' id='name'><input name='password' type='password'>"
        "<button id='in'>Sign in</button><button name='cancel' value='1' id='cancel'>Cancel</button></form>"
    )


@app.post("/token")
def token() -> Any:
    return server.create_token_response()


def main() -> None:
    global issuer
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    listening = make_server("127.0.0.1", 0, app, threaded=True)
    issuer = f"http://127.0.0.1:{listening.port}"
    print(issuer, flush=True)
    listening.serve_forever()


main()
