"""Function URLs: each has an address of its own, and lets in whom IAM lets in.

ministack serves them on a path of its API server, takes any signature of the lab's root, asks for one of the two
permissions only, lets everybody in where the auth type is NONE, and tells the function nobody's identity.

A URL here is ``http://127.N.255.K:10443/``, the same until it is deleted: nothing has to resolve a name, and a client
calls and signs it as it would on AWS, from the root of its path on. Nothing else listens there. After it is deleted
the address answers what AWS answers for an id that nobody has.

What is asked of a request, in this order (Lambda Developer Guide, "Control access to Lambda function URLs" and
"Creating and managing Lambda function URLs"):

1. With AWS_IAM: a signature of now for ``lambda`` (``request_signatures``), else 403.
2. Both lambda:InvokeFunctionUrl (with the condition key lambda:FunctionUrlAuthType) and lambda:InvokeFunction (with
   lambda:InvokedViaFunctionUrl) of the caller's policies or the function's; with NONE, of the function's for
   everybody. Else 403.
3. No more requests a second than ten times the reserved concurrency, and no more at once than that; else 429.

Known deviations from AWS: plain HTTP; CORS settings are kept and have no effect; InvokeMode RESPONSE_STREAM is
refused; signatures in the query are not taken (403); an answer that is no JSON is taken for a JSON string. Not
documented, and chosen here: the bodies of 429 and 413, that a request over 6 MB is a 413 at all, that a timeout and an
answer with an impossible status are a 502 as other function errors are, and that requests which IAM refuses do not
count against the rate.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.concurrency import run_reentrant
from ministack.core.iam_evaluator import EvalContext, ResolvedCredential
from ministack.core.responses import error_response_json, json_response, new_uuid, request_scope
from ministack.services import iam, lambda_svc

from local_aws import function_policies, journal, metric_store
from local_aws.addresses import AddressPool, function_url_addresses
from local_aws.aws_protocol import ServiceError
from local_aws.function_url_events import (
    LARGEST_PAYLOAD,
    Caller,
    Place,
    Unusable,
    UrlAnswer,
    answer_of,
    event_of,
    failure,
)
from local_aws.http_messages import HEAD_LIMIT, NO_BODY_STATUSES, Message, MessageError, encode, read_request
from local_aws.load_balancer import port_of
from local_aws.replacing import AnyFunction, replace
from local_aws.request_signatures import NotProven, NotSigned, Request, proven_caller
from local_aws.settings import Settings
from local_aws.token_bucket import TokenBucket

PORT = port_of(443)
REQUESTS_PER_CONCURRENCY = 10
STREAMING = "RESPONSE_STREAM"
ANONYMOUS = "anonymous"
FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
# What AWS answers for an id that no function has: LocalStack's test_lambda_url_non_existing_url, recorded on AWS.
UNKNOWN = failure(403, "AccessDeniedException", {"Message": None})
# For whatever the function did wrong: LocalStack's test_lambda_url_invocation_exception, recorded on AWS.
FUNCTION_ERROR = UrlAnswer(502, [("Content-Type", "application/json")], b"Internal Server Error")

_thread = threading.local()


@dataclass(frozen=True)
class Served:
    """A function URL that has been given out."""

    address: str
    place: Place
    key: str
    """ministack's: the name of the function, and that of an alias behind a colon."""

    @property
    def url(self) -> str:
        """What CloudFormation and the API say."""
        return f"http://{self.address}:{PORT}/"

    @property
    def function(self) -> str:
        """The ARN that a request needs permission for."""
        return f"arn:aws:lambda:{self.place.region}:{self.place.account}:function:{self.key}"

    def config(self) -> dict[str, Any] | None:
        """Its configuration; None once it is deleted."""
        found: dict[str, Any] | None = lambda_svc._function_urls.get_scoped(
            self.place.account, self.place.region, self.key
        )
        return found if found is not None and found.get("FunctionUrl") == self.url else None


class Refusal(Exception):
    """A request that does not reach the function."""

    def __init__(self, answer: UrlAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


# ---- who may -------------------------------------------------------------------------------------


def _user_id(credential: ResolvedCredential) -> str:
    """As GetCallerIdentity has it. ministack's own sessions of functions have a role's name for its id."""
    if credential.principal_type != "AssumedRole":
        return str(credential.principal_id)
    _, name, session = credential.principal_arn.split(":", 5)[5].split("/", 2)
    role = iam._roles.get_scoped(credential.account_id, None, name)
    return f"{role['RoleId']}:{session}" if role is not None else str(credential.principal_id)


def _caller(credential: ResolvedCredential) -> Caller:
    return Caller(
        access_key=credential.access_key_id,
        account=credential.account_id,
        organization=iam_evaluator._principal_org_id(credential.account_id),
        arn=credential.principal_arn,
        user_id=_user_id(credential),
    )


def _needed(served: Served, auth_type: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """The permissions that a request needs, each with the condition keys that its check has.

    Which key comes with which permission is in the Service Authorization Reference.
    """
    return (
        ("lambda:InvokeFunctionUrl", {"lambda:FunctionUrlAuthType": auth_type, "lambda:FunctionArn": served.function}),
        ("lambda:InvokeFunction", {"lambda:InvokedViaFunctionUrl": "true"}),
    )


def _caller_may(served: Served, credential: ResolvedCredential, permission: str, context: Mapping[str, str]) -> bool:
    if credential.principal_type == "Root":
        return not function_policies.denies(served.function, permission, credential.principal_arn, context)
    region = served.place.region
    denied = iam_evaluator.enforce(
        credential.access_key_id, permission, "lambda", region, resource_arn=served.function, service_context=context
    )
    return denied is None


def _everybody_may(served: Served, permission: str, context: Mapping[str, str]) -> bool:
    request = EvalContext(
        principal_arn=ANONYMOUS,
        principal_type="Anonymous",
        principal_account=ANONYMOUS,
        action=permission,
        resource_arn=served.function,
        region=served.place.region,
        service_context={key.lower(): value for key, value in context.items()},
    )
    policy = function_policies.policy_of(served.function)
    return bool(iam_evaluator.evaluate_resource_policy(policy, request).decision == "Allow")


def _authorized(served: Served, request: Request, auth_type: str) -> Caller | None:
    """Who calls, None where nobody is asked. Raises Refusal for whoever may not."""
    forbidden = Refusal(failure(403, "AccessDeniedException", {"Message": FORBIDDEN}))
    needed = _needed(served, auth_type)
    if auth_type != "AWS_IAM":
        if not all(_everybody_may(served, *each) for each in needed):
            raise forbidden
        return None
    try:
        credential = proven_caller(request, "lambda", served.place.region, served.place.account)
    except NotSigned:
        raise forbidden from None
    except NotProven as unproven:
        raise Refusal(failure(403, unproven.code, {"message": unproven.message})) from unproven
    if not all(_caller_may(served, credential, *each) for each in needed):
        raise forbidden
    return _caller(credential)


# ---- how many ------------------------------------------------------------------------------------

_buckets: dict[tuple[str, int], TokenBucket] = {}
_buckets_lock = threading.Lock()


def _throttled(reason: str) -> UrlAnswer:
    document = {"Reason": reason, "Type": "User", "message": "Rate Exceeded."}
    return failure(429, "TooManyRequestsException", document)


def _take(served: Served, record: Mapping[str, Any]) -> None:
    """Count a request of a function with reserved concurrency; all its URLs together have one rate."""
    reserved = lambda_svc._reserved_concurrency(record, record.get("config") or {})
    if reserved is None:
        return
    most = reserved * REQUESTS_PER_CONCURRENCY
    function = served.function.rpartition(":function:")[0] + served.key.partition(":")[0]
    with _buckets_lock:
        bucket = _buckets.setdefault((function, most), TokenBucket(most, most))
    try:
        bucket.take()
    except ServiceError as error:
        raise Refusal(_throttled("ReservedFunctionInvocationRateLimitExceeded")) from error


# ---- a request -----------------------------------------------------------------------------------


def _invoked(served: Served, record: Mapping[str, Any], config: Mapping[str, Any], event: Any) -> UrlAnswer:
    """Call the function; the id of the invocation is the event's."""
    execution = lambda_svc._execution_record_for_config(record, config)
    started = time.monotonic()
    _thread.request_id = event["requestContext"]["requestId"]
    try:
        result = lambda_svc._execute_function(execution, event)
    finally:
        _thread.request_id = None
    failed, throttled = bool(result.get("error")), bool(result.get("throttle"))
    name = served.key.partition(":")[0]
    lambda_svc._emit_lambda_metrics(name, (time.monotonic() - started) * 1000, failed and not throttled, throttled)
    if throttled:
        return _throttled(str((result.get("body") or {}).get("Reason", "ConcurrentInvocationLimitExceeded")))
    if failed:
        return FUNCTION_ERROR
    try:
        return answer_of(result.get("body"))
    except Unusable as unusable:
        lambda_svc.logger.error("%s answered what is no response: %s", served.function, unusable)
        return FUNCTION_ERROR


def _answer(served: Served, request: Request, source: str) -> UrlAnswer:
    """What a request is answered; everything but the HTTP."""
    started = time.monotonic()
    request_id = new_uuid()
    caller: Caller | None = None
    with request_scope(served.place.account, served.place.region):
        # On AWS it has come by TLS.
        iam_evaluator.pin_request_origin(source, True)
        config = served.config()
        record, function, _ = lambda_svc._get_func_record_for_ref(served.function)
        if config is None or record is None or function is None:
            return UNKNOWN
        try:
            caller = _authorized(served, request, config["AuthType"])
            _take(served, record)
            event = event_of(request, served.place, caller, request_id, source, PORT)
            if len(json.dumps(event, ensure_ascii=False).encode()) > LARGEST_PAYLOAD:
                words = f"Request must be smaller than {LARGEST_PAYLOAD} bytes for the InvokeFunction operation"
                raise Refusal(failure(413, "RequestEntityTooLargeException", {"message": words}))
            answer = _invoked(served, record, function, event)
        except Refusal as refusal:
            answer = refusal.answer
        _tell(served, request, caller, answer, request_id, (time.monotonic() - started) * 1000)
    trace = f"Root=1-{int(time.time()):08x}-{time.monotonic_ns():024x}"
    headers = [*answer.headers, ("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", trace)]
    return UrlAnswer(answer.status, headers, answer.body)


def _tell(
    served: Served, request: Request, caller: Caller | None, answer: UrlAnswer, request_id: str, millis: float
) -> None:
    """Into the journal, and the metrics of "Monitoring Lambda function URLs"."""
    journal.write(
        kind="url",
        function=served.key,
        method=request.method,
        path=request.target.partition("?")[0],
        principal=caller.arn if caller is not None else None,
        invocation=request_id,
        status=answer.status,
        error=answer.error_type,
        millis=round(millis, 1),
    )
    name, now = served.key.partition(":")[0], time.time()
    resource = served.key if ":" in served.key else f"{name}:$LATEST"
    for dimensions in ({"FunctionName": name}, {"FunctionName": name, "Resource": resource}):
        for metric, unit, value in (
            ("UrlRequestCount", "Count", 1.0),
            ("Url4xxCount", "Count", float(answer.status // 100 == 4)),
            ("Url5xxCount", "Count", float(answer.status // 100 == 5)),
            ("UrlRequestLatency", "Milliseconds", millis),
        ):
            metric_store.store.add("AWS/Lambda", metric, dimensions, now, unit, value)


# ---- HTTP ----------------------------------------------------------------------------------------


def _request(message: Message) -> Request:
    headers: dict[str, str] = {}
    for name, value in message.headers:
        key, separator = name.lower(), "; " if name.lower() == "cookie" else ","
        headers[key] = f"{headers[key]}{separator}{value}" if key in headers else value
    return Request(message.first[0], message.first[1], headers, message.content)


def _message(answer: UrlAnswer, method: str) -> Message:
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Status"
    body = b"" if answer.status in NO_BODY_STATUSES else answer.body
    own = [("Date", formatdate(usegmt=True)), ("Content-Length", str(len(body)))]
    headers = [(name, value.encode("latin-1", "replace").decode("latin-1")) for name, value in answer.headers]
    return Message(("HTTP/1.1", str(answer.status), reason), [*own, *headers], b"" if method == "HEAD" else body)


class Listeners:
    """An event loop in a thread that listens on the address of every function URL."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: dict[str, asyncio.Server] = {}

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="function-urls", daemon=True).start()

    def open(self, served: Served) -> None:
        """Listen; returns once it does."""
        self._called(self._open(served))

    def close(self, address: str) -> None:
        """Listen no more."""
        self._called(self._close(address))

    def _called(self, work: Any) -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self, served: Served) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _serve_client(served, reader, writer)

        self._servers[served.address] = await asyncio.start_server(
            serve, served.address, PORT, limit=HEAD_LIMIT, backlog=512
        )

    async def _close(self, address: str) -> None:
        self._servers.pop(address).close()


async def _serve_client(served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    source = writer.get_extra_info("peername")[0]
    try:
        while True:
            message = await read_request(reader)
            if message is None:
                return
            request = _request(message)
            # A thread of its own: the function may call this server, or its own URL.
            answer = await run_reentrant(_answer, served, request, source, thread_name="function-url")
            close = not message.keeps_alive
            writer.write(encode(_message(answer, request.method), [], close))
            await writer.drain()
            if close:
                return
    except MessageError:
        writer.write(encode(_message(failure(400, "BadRequestException", {"Message": "Bad Request"}), ""), [], True))
    except OSError as error:
        lambda_svc.logger.debug("a client of %s went away: %s", served.url, error)
    finally:
        writer.close()


# ---- which there are -----------------------------------------------------------------------------


class Registry:
    """The function URLs that were given out, and their addresses."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._addresses: AddressPool = function_url_addresses(settings)
        self._listeners = Listeners()
        self._served: list[Served] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Be ready to listen."""
        self._listeners.start()

    def give(self, url_id: str, account: str, region: str, key: str) -> str:
        """A URL that is called from now on."""
        with self._lock:
            served = Served(self._lease(), Place(url_id, region, account), key)
            self._listeners.open(served)
            self._served.append(served)
        return served.url

    def _lease(self) -> str:
        try:
            return self._addresses.lease()
        except RuntimeError:
            # Those of deleted URLs still answer; there are no others.
            for served in [served for served in self._served if served.config() is None]:
                self._listeners.close(served.address)
                self._addresses.release(served.address)
                self._served.remove(served)
            return self._addresses.lease()


def _install_configuration(registry: Registry) -> None:
    create: AnyFunction
    update: AnyFunction
    Answer = tuple[int, dict[str, str], Any]

    def refused() -> Answer:
        words = "InvokeMode RESPONSE_STREAM is not supported in the lab"
        answer: Answer = error_response_json("InvalidParameterValueException", words, 400)
        return answer

    def create_reachable(func_name: str, data: dict[str, Any], qualifier: str | None) -> Answer:
        if data.get("InvokeMode") == STREAMING:
            return refused()
        status, headers, body = create(func_name, data, qualifier)
        if status != 201:
            return status, headers, body
        key = lambda_svc._url_config_key(func_name, qualifier)
        config = lambda_svc._function_urls[key]
        account, region = config["FunctionArn"].split(":")[4], config["FunctionArn"].split(":")[3]
        url_id = lambda_svc._function_url_id(config["FunctionUrl"])
        config["FunctionUrl"] = registry.give(url_id, account, region, key)
        # Of an alias it is the alias's.
        config["FunctionArn"] = f"arn:aws:lambda:{region}:{account}:function:{key}"
        answer: Answer = json_response(config, status=status)
        return answer

    def update_buffered(func_name: str, data: dict[str, Any], qualifier: str | None) -> Answer:
        if data.get("InvokeMode") == STREAMING:
            return refused()
        answer: Answer = update(func_name, data, qualifier)
        return answer

    expects = ("func_name", "data", "qualifier")
    create = replace(lambda_svc, "_create_function_url_config", create_reachable, expects=expects)
    update = replace(lambda_svc, "_update_function_url_config", update_buffered, expects=expects)


def _install_one_way_in() -> None:
    """ministack's own addresses of function URLs would go round everything that is asked here."""

    async def answer(
        host: str,
        path: str,
        method: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        source_ip: str | None = None,
    ) -> tuple[int, dict[str, str], bytes] | None:
        if app._parse_lambda_url(host, path) is None:
            return None
        return UNKNOWN.status, dict(UNKNOWN.headers), UNKNOWN.body

    expects = ("host", "path", "method", "headers", "body", "query_params", "source_ip")
    replace(app, "_handle_lambda_url_request", answer, expects=expects)


def _install_invocation_ids() -> None:
    original: AnyFunction

    def next_id() -> str:
        """The id of an invocation is made at its beginning; a request's is in its event already."""
        chosen: str | None = getattr(_thread, "request_id", None)
        _thread.request_id = None
        return chosen or str(original())

    original = replace(lambda_svc, "new_uuid", next_id, expects=())


def install(settings: Settings) -> None:
    """Serve function URLs."""
    registry = Registry(settings)
    registry.start()
    _install_configuration(registry)
    _install_one_way_in()
    _install_invocation_ids()
