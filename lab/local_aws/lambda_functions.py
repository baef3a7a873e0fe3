"""Lambda: speed, a clean environment, and asynchronous invocation as on AWS.

ministack's asynchronous invocation counts a throttled attempt like a failed one, sends the dead-letter
queue the record that belongs to a destination, always reports three attempts, and needs no permission
for either.

Known deviations from AWS: the retries of a failed event come after one second and two (AWS: minutes); a
function goes on running between its invocations (AWS freezes it); ``Architectures`` is not looked at, a
binary must fit the machine; memory limits are not enforced.
"""

from __future__ import annotations

import contextvars
import datetime
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core import lambda_runtime
from ministack.core.responses import new_uuid, request_scope
from ministack.services import lambda_svc

from local_aws import journal
from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

DEFAULT_RETRIES = 2
DEFAULT_EVENT_AGE_SECONDS = 21_600
# AWS waits one minute before the first retry and two before the second; the lab takes seconds for minutes.
FAILURE_DELAYS_SECONDS = (1.0, 2.0)
FIRST_THROTTLE_DELAY_SECONDS = 0.2
LONGEST_THROTTLE_DELAY_SECONDS = 5.0
# The place of the alias or version in the ARN of a function.
QUALIFIER = 7
LOG_LINE_WAIT_SECONDS = 0.003
# The server's own configuration, which no function of AWS would see.
KEPT_VARIABLES = frozenset({"PATH", "LANG", "TMPDIR", "AWS_ENDPOINT_URL"})


@dataclass(frozen=True)
class AsyncSettings:
    """What a function's EventInvokeConfig and DeadLetterConfig say."""

    retries: int
    event_age: float
    on_success: str | None
    on_failure: str | None
    dead_letters: str | None

    @classmethod
    def of(cls, function: dict[str, Any]) -> AsyncSettings:
        """Read them from ministack's record of a function."""
        config = function.get("config") or function
        configs = function.get("event_invoke_configs") or {}
        # Of an alias or version that was invoked; ministack takes the function's own for all.
        arn = str(config.get("FunctionArn", "")).split(":")
        own = configs.get(arn[QUALIFIER]) if len(arn) > QUALIFIER else None
        chosen = own or function.get("event_invoke_config") or configs.get("$LATEST") or {}
        retries = chosen.get("MaximumRetryAttempts")
        destinations = chosen.get("DestinationConfig") or {}
        return cls(
            retries=DEFAULT_RETRIES if retries is None else int(retries),
            event_age=float(chosen.get("MaximumEventAgeInSeconds") or DEFAULT_EVENT_AGE_SECONDS),
            on_success=(destinations.get("OnSuccess") or {}).get("Destination"),
            on_failure=(destinations.get("OnFailure") or {}).get("Destination"),
            dead_letters=(config.get("DeadLetterConfig") or {}).get("TargetArn"),
        )


@dataclass
class Attempts:
    """How often an event has been tried, and what comes next."""

    settings: AsyncSettings
    failed: int = 0
    throttled: int = 0

    def delay_after(self, result: dict[str, Any], age: float) -> tuple[float | None, str]:
        """Seconds until the next attempt, or None and the condition that ends it.

        Only attempts that the function itself failed count against the retries; a throttled event is
        tried again until it is too old.
        """
        if result.get("throttle"):
            self.throttled += 1
            delay = min(FIRST_THROTTLE_DELAY_SECONDS * 2 ** (self.throttled - 1), LONGEST_THROTTLE_DELAY_SECONDS)
        else:
            self.failed += 1
            if self.failed > self.settings.retries:
                return None, "RetriesExhausted"
            delay = FAILURE_DELAYS_SECONDS[min(self.failed, len(FAILURE_DELAYS_SECONDS)) - 1]
        if age + delay > self.settings.event_age:
            return None, "EventAgeExceeded"
        return delay, ""


class Delivery:
    """One asynchronous invocation, with what follows from its outcome."""

    def __init__(self, endpoint: str, function: dict[str, Any], event: Any) -> None:
        self.endpoint = endpoint
        self.function = function
        self.config: dict[str, Any] = function.get("config") or function
        self.event = event
        self.settings = AsyncSettings.of(function)
        self.request_id = new_uuid()

    def run(self) -> None:
        """Invoke until it succeeds or is given up."""
        account, region = lambda_runtime._account_region_from_function_config(self.config)
        with request_scope(account, region):
            queued = time.monotonic()
            attempts = Attempts(self.settings)
            while True:
                self._refresh()
                result = lambda_svc._execute_function(self.function, self.event)
                if not result.get("error"):
                    self._deliver(self.settings.on_success, "Success", attempts, result)
                    return
                delay, condition = attempts.delay_after(result, time.monotonic() - queued)
                if delay is None:
                    self._give_up(condition, attempts, result)
                    return
                time.sleep(delay)

    def _refresh(self) -> None:
        """Take the function as it is now: its code, limits or concurrency may have changed while the event waited."""
        record, config, _name = lambda_svc._get_func_record_for_ref(self.config["FunctionArn"])
        if record and config:
            self.function = lambda_svc._execution_record_for_config(record, config)
            self.config = self.function.get("config") or self.function

    def _give_up(self, condition: str, attempts: Attempts, result: dict[str, Any]) -> None:
        journal.write(
            kind="event-dropped", function=self.config["FunctionName"], condition=condition, attempts=attempts.failed
        )
        if self.settings.dead_letters:
            failure = result.get("body") if isinstance(result.get("body"), dict) else {}
            attributes = {
                "RequestID": self.request_id,
                "ErrorCode": "429" if result.get("throttle") else "200",
                "ErrorMessage": str((failure or {}).get("errorMessage", ""))[:1024],
            }
            self._send(self.settings.dead_letters, json.dumps(self.event), attributes)
        self._deliver(self.settings.on_failure, condition, attempts, result)

    def _deliver(self, destination: str | None, condition: str, attempts: Attempts, result: dict[str, Any]) -> None:
        if destination is None:
            return
        response = {
            "statusCode": 429 if result.get("throttle") else 200,
            "executedVersion": self.config.get("Version", "$LATEST"),
        }
        if result.get("error"):
            response["functionError"] = result.get("function_error") or "Unhandled"
        record = {
            "version": "1.0",
            "timestamp": datetime.datetime.now(datetime.timezone.utc)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": f"{self.config['FunctionArn']}:{self.config.get('Version', '$LATEST')}",
                "condition": condition,
                "approximateInvokeCount": attempts.failed + (0 if result.get("error") else 1),
            },
            "requestPayload": self.event,
            "responseContext": response,
            "responsePayload": result.get("body"),
        }
        self._send(destination, json.dumps(record), {})

    def _send(self, target: str, body: str, attributes: dict[str, str]) -> None:
        """Send with the function's own role: it needs the permission, as on AWS."""
        service, account, name = target.split(":")[2], target.split(":")[4], target.rsplit(":", 1)[-1]
        keys = {key.lower(): value for key, value in lambda_runtime.execution_credentials(self.config).items()}
        client = boto3.session.Session().client(
            service,
            region_name=target.split(":")[3],
            endpoint_url=self.endpoint,
            config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
            **keys,
        )
        shown = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items() if value}
        try:
            if service == "sqs":
                client.send_message(
                    QueueUrl=f"{self.endpoint}/{account}/{name}", MessageBody=body, MessageAttributes=shown
                )
            elif service == "sns":
                client.publish(TopicArn=target, Message=body, MessageAttributes=shown)
            elif service == "lambda":
                client.invoke(FunctionName=target, InvocationType="Event", Payload=body.encode())
            else:
                raise ValueError(f"a {service} target is not supported in the lab: {target}")
        except ClientError as error:
            lambda_svc.logger.error("cannot send to %s: %s", target, error)


def _install_environment() -> None:
    original: AnyFunction

    def worker_environment(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        """Without the server's own configuration (AUTH, GATEWAY_PORT, ...), which ministack passes on."""
        complete: dict[str, str] = original(config, code_dir, port)
        own = set(os.environ) - KEPT_VARIABLES - set(lambda_svc._runtime_env_vars(config))
        return {key: value for key, value in complete.items() if key not in own}

    original = replace(lambda_svc, "_provided_worker_env", worker_environment, expects=("config", "code_dir", "port"))


def _install_speed() -> None:
    drain: AnyFunction
    handler: AnyFunction

    def drain_quickly(
        self: Any, first_line_wait: float = LOG_LINE_WAIT_SECONDS, idle_confirm: float = 0.001, hard_cap: float = 0.25
    ) -> str:
        """ministack waits 50 ms for a function's first log line after every answer; a line that comes
        later is kept for the next invocation's log."""
        lines: str = drain(self, min(first_line_wait, LOG_LINE_WAIT_SECONDS), idle_confirm, hard_cap)
        return lines

    def handler_class(self: Any, generation: int, pending: Any) -> Any:
        """The Runtime API answers in two writes; without this the second waits for the delayed ACK."""
        answering = handler(self, generation, pending)
        answering.disable_nagle_algorithm = True

        class Tracing(answering):  # type: ignore[misc, valid-type]
            def end_headers(self) -> None:
                """With the trace that AWS gives every invocation of a function, for X-Ray; ministack passes one on."""
                headers = b"".join(getattr(self, "_headers_buffer", []))
                if b"Lambda-Runtime-Aws-Request-Id" in headers and b"Lambda-Runtime-Trace-Id" not in headers:
                    root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
                    self.send_header("Lambda-Runtime-Trace-Id", f"Root={root};Parent={uuid.uuid4().hex[:16]};Sampled=1")
                super().end_headers()

        return Tracing

    expects = ("self", "first_line_wait", "idle_confirm", "hard_cap")
    drain = replace(lambda_runtime.Worker, "_drain_stderr_bounded", drain_quickly, expects=expects)
    worker = lambda_runtime.ProvidedWorker
    handler = replace(worker, "_build_handler_class", handler_class, expects=("self", "generation", "pending"))


def install(settings: Settings) -> None:
    """Replace asynchronous invocation, the environment of functions and what makes invocations slow."""

    def invoke_asynchronously(func: dict[str, Any], event: Any) -> None:
        delivery = Delivery(settings.endpoint, func, event)
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(delivery.run,), name="asynchronous invocation", daemon=True).start()

    replace(lambda_svc, "invoke_async_with_retry", invoke_asynchronously, expects=("func", "event"))
    _install_environment()
    _install_speed()
