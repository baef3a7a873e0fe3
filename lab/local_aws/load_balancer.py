"""The data plane: every listener of every load balancer really listens and forwards HTTP.

ministack serves a load balancer on a path of its API server, picks the first group only, counts
nothing and shares one event loop with the whole control plane. Here a load balancer has a loopback
address of its own (its DNSName) and is served by a thread of its own.

Ports below 1024 need privileges, so a listener on such a port is found at port + 10000 (``port_of``).

Known deviations from AWS: authenticate actions let every request pass; HTTPS listeners speak plain
HTTP; transforms are kept but not applied; target stickiness, slow start and zonal shift are not known;
bodies are passed on whole, not streamed. With a routing delay only changes and deletions of rules are
slow; listeners and new rules are there at once, so that what a stack creates serves once it is complete.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from local_aws import metric_store
from local_aws.health_checks import GroupSettings, HealthChecks
from local_aws.http_messages import (
    HEAD_LIMIT,
    Message,
    MessageError,
    encode,
    read_request,
    response,
    status_of,
)
from local_aws.routing import CompiledRule, RequestHead, compile_rules, in_order
from local_aws.settings import Settings
from local_aws.target_connections import (
    TargetBroken,
    TargetConnections,
    TargetSilent,
    TargetUnreachable,
)
from local_aws.targets import registry
from local_aws.traffic_metrics import (
    SERVER_ERROR,
    Counts,
    TrafficMetrics,
    publish_hosts,
    response_class,
)

FIRST_UNPRIVILEGED_PORT = 1024
PRIVILEGED_PORT_OFFSET = 10_000
FLUSH_INTERVAL = 0.25
# Python hands the interpreter lock over only every 5 ms by default; while the control plane computes,
# each step of a forwarded request would wait that long.
SWITCH_INTERVAL = 0.0005
logger = logging.getLogger("load_balancer")


@dataclass(frozen=True)
class ListenerRoutes:
    """What the data plane needs to know about one listener."""

    load_balancer: str
    address: str
    port: int
    protocol: str
    rules: tuple[CompiledRule, ...]


@dataclass(frozen=True)
class Routes:
    """Everything that the control plane tells the data plane, as one immutable value."""

    listeners: Mapping[str, ListenerRoutes] = field(default_factory=dict)
    groups: Mapping[str, GroupSettings] = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)
    """Group ARN to load balancer ARN."""


def port_of(port: int) -> int:
    """The port that a listener on ``port`` really listens on."""
    return port if port >= FIRST_UNPRIVILEGED_PORT else port + PRIVILEGED_PORT_OFFSET


def listener_routes(
    load_balancer: str, address: str, listener: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]
) -> ListenerRoutes:
    """Compile one listener."""
    return ListenerRoutes(
        load_balancer=load_balancer,
        address=address,
        port=int(listener["Port"]),
        protocol=str(listener["Protocol"]).lower(),
        rules=compile_rules(rules),
    )


class DataPlane:
    """An event loop in a thread: listeners, health checks and the per-second report."""

    def __init__(self, routing_delay: float) -> None:
        self._routing_delay = routing_delay
        self._loop = asyncio.new_event_loop()
        self._routes = Routes()
        self._wanted = Routes()
        """What ``_routes`` will be once everything has propagated."""
        self._servers: dict[str, tuple[tuple[str, int], asyncio.Server]] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._connections = TargetConnections()
        self._health = HealthChecks()
        self._metrics = TrafficMetrics()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="load-balancers", daemon=True).start()

    def update(self, routes: Routes) -> None:
        """Take over new routes, after the propagation delay. Callable from any thread."""
        self._loop.call_soon_threadsafe(self._update_later, routes)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        # Neither ever ends; an error ends the thread, and with it the server (``server``).
        self._loop.run_until_complete(self._health_and_report())

    async def _health_and_report(self) -> None:
        await asyncio.gather(self._health.run(), self._report())

    def _update_later(self, routes: Routes) -> None:
        self._health.use(routes.groups)
        registry.attach(set(routes.attachments))
        self._wanted = routes
        if self._routing_delay > 0:
            self._loop.call_later(self._routing_delay, self._propagated, routes)
            served = self._routes.listeners
            self._serve({arn: _with_new_rules(served.get(arn), new) for arn, new in routes.listeners.items()})
        else:
            self._serve(routes.listeners)

    def _propagated(self, routes: Routes) -> None:
        """The changes up to these routes have reached the traffic; the later ones have not."""
        served = self._routes.listeners
        self._serve({
            arn: _with_old_rules(served[arn], routes.listeners[arn], wanted) if arn in routes.listeners else served[arn]
            for arn, wanted in self._wanted.listeners.items()
        })

    def _serve(self, listeners: Mapping[str, ListenerRoutes]) -> None:
        self._routes = replace(self._wanted, listeners=listeners)
        self._reconcile_servers()

    def _reconcile_servers(self) -> None:
        wanted = {
            arn: (listener.address, port_of(listener.port))
            for arn, listener in self._routes.listeners.items()
        }
        for arn in [arn for arn, (place, _) in self._servers.items() if wanted.get(arn) != place]:
            self._servers.pop(arn)[1].close()
        for arn, place in wanted.items():
            if arn not in self._servers and arn not in self._opening:
                self._opening[arn] = self._loop.create_task(self._listen(arn, place))

    async def _listen(self, arn: str, place: tuple[str, int]) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve_client(arn, reader, writer)

        try:
            server = await asyncio.start_server(serve, *place, limit=HEAD_LIMIT, backlog=512)
            self._servers[arn] = (place, server)
        finally:
            del self._opening[arn]
        # The listener may have gone, or moved, while it was opened.
        self._reconcile_servers()

    async def _serve_client(
        self, arn: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = writer.get_extra_info("peername")
        client = peer[0] if peer else "127.0.0.1"
        try:
            while True:
                request = await read_request(reader)
                listener = self._routes.listeners.get(arn)
                if request is None or listener is None:
                    return
                answer, cookies = await self._answer(listener, request, client)
                extra = [("Set-Cookie", cookie) for cookie in cookies]
                close = not request.keeps_alive
                writer.write(encode(answer, extra, close))
                await writer.drain()
                if close:
                    return
        except MessageError:
            writer.write(encode(response(400, [], b""), [], close=True))
        except OSError as error:
            logger.debug("client %s went away: %s", client, error)
        finally:
            writer.close()

    async def _answer(
        self, listener: ListenerRoutes, request: Message, client: str
    ) -> tuple[Message, list[str]]:
        headers = {name.lower(): value for name, value in request.headers}
        head = RequestHead(request.first[0], request.first[1], headers)
        for rule in listener.rules:
            if all(matcher(head) for matcher in rule.matchers):
                if rule.forward is not None:
                    return await self._forward(listener, rule, request, head, client)
                return _own_answer(rule.action, listener, head), []
        raise MessageError("a listener always has a default rule")

    async def _forward(
        self, listener: ListenerRoutes, rule: CompiledRule, request: Message, head: RequestHead, client: str
    ) -> tuple[Message, list[str]]:
        assert rule.forward is not None
        arn, by_cookie = rule.forward.choose(head.headers.get("cookie", ""))
        target, healthy = registry.group(arn).pick() if arn else (None, False)
        if arn is None or target is None or (by_cookie and not healthy):
            counts = self._counts(listener, None)
            counts.made_by_load_balancer += 1
            return _error_page(503), []
        _transform(request, rule)
        _add_forwarding_headers(request, head, listener, client)
        started = time.perf_counter()
        try:
            encoded = encode(request, [], close=False)
            with registry.answering(target.key):
                answer = await self._connections.exchange(target.key, encoded, head.method)
            status = status_of(answer)
        except (TargetUnreachable, TargetBroken, TargetSilent, MessageError) as error:
            counts = self._counts(listener, arn)
            counts.requests += 1
            counts.made_by_load_balancer += 1
            counts.connection_errors += isinstance(error, TargetUnreachable)
            return _error_page(504 if isinstance(error, TargetSilent) else 502), []
        counts = self._counts(listener, arn)
        counts.requests += 1
        counts.unhealthy_routing += not healthy
        counts.codes[f"{status // 100}XX"] += 1
        counts.response_classes[response_class(time.perf_counter() - started)] += 1
        return answer, rule.forward.set_cookie(arn)

    def _counts(self, listener: ListenerRoutes, group: str | None) -> Counts:
        return self._metrics.counts(int(time.time()), listener.load_balancer, group)

    async def _report(self) -> None:
        sampled = 0
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            second = int(time.time())
            self._metrics.flush(second, metric_store.store.add)
            if second > sampled:
                sampled = second
                for group, load_balancer in self._routes.attachments.items():
                    publish_hosts(second, load_balancer, group, registry.group(group), metric_store.store.add)
                keys = {target.key for _, group in registry.groups() for target in group.targets.values()}
                self._connections.forget(keys)


def _with_new_rules(served: ListenerRoutes | None, new: ListenerRoutes) -> ListenerRoutes:
    """A listener as it is now, with the rules that it did not have: all others propagate later."""
    if served is None:
        return new
    known = {rule.arn for rule in served.rules}
    created = [rule for rule in new.rules if rule.arn not in known]
    return replace(new, rules=in_order([*served.rules, *created]))


def _with_old_rules(served: ListenerRoutes, propagated: ListenerRoutes, wanted: ListenerRoutes) -> ListenerRoutes:
    """A listener with the rules that have propagated, and with those that were created since then."""
    carried = {rule.arn for rule in propagated.rules}
    existing = {rule.arn for rule in wanted.rules}
    created = [rule for rule in served.rules if rule.arn not in carried and rule.arn in existing]
    return replace(served, rules=in_order([*propagated.rules, *created]))


def _transform(request: Message, rule: CompiledRule) -> None:
    """Rewrite host name and URL as the rule's transforms say, after the rule was chosen by the originals."""
    method, target, version = request.first
    request.first = (method, rule.rewrite_url(target), version)
    request.headers = [
        (name, rule.rewrite_host(value) if name.lower() == "host" else value) for name, value in request.headers
    ]


def _add_forwarding_headers(
    request: Message, head: RequestHead, listener: ListenerRoutes, client: str
) -> None:
    earlier = head.headers.get("x-forwarded-for")
    replaced = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-port")
    request.headers = [(name, value) for name, value in request.headers if name.lower() not in replaced]
    request.headers += [
        ("X-Forwarded-For", f"{earlier}, {client}" if earlier else client),
        ("X-Forwarded-Proto", listener.protocol),
        ("X-Forwarded-Port", str(listener.port)),
    ]
    if "x-amzn-trace-id" not in head.headers:
        trace = f"Root=1-{int(time.time()):08x}-{time.monotonic_ns():024x}"
        request.headers.append(("X-Amzn-Trace-Id", trace))


def _own_answer(action: Mapping[str, Any], listener: ListenerRoutes, head: RequestHead) -> Message:
    if action["Type"] == "fixed-response":
        config = action["FixedResponseConfig"]
        body = config.get("MessageBody", "").encode()
        return response(int(config["StatusCode"]), [("Content-Type", config.get("ContentType", "text/plain"))], body)
    config = action["RedirectConfig"]
    path, _, query = head.target.partition("?")
    host, _, port = head.headers.get("host", listener.address).partition(":")
    values = {
        "#{protocol}": listener.protocol,
        "#{port}": port or str(listener.port),
        "#{host}": host,
        "#{path}": path.removeprefix("/"),
        "#{query}": query,
    }

    def fill(name: str) -> str:
        text = str(config[name])
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        return text

    location = f"{fill('Protocol').lower()}://{fill('Host')}:{fill('Port')}{fill('Path')}"
    filled_query = fill("Query")
    if filled_query:
        location += f"?{filled_query}"
    return response(int(config["StatusCode"].removeprefix("HTTP_")), [("Location", location)], b"")


def _error_page(status: int) -> Message:
    assert status >= SERVER_ERROR
    page = response(status, [("Content-Type", "text/html")], b"")
    title = f"{status} {page.first[2]}"
    body = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return response(status, [("Content-Type", "text/html")], body.encode())


plane: DataPlane | None = None


def install(settings: Settings) -> None:
    """Start the data plane."""
    global plane
    sys.setswitchinterval(SWITCH_INTERVAL)
    plane = DataPlane(settings.routing_delay)
    plane.start()


def update(routes: Routes) -> None:
    """Hand new routes to the running data plane."""
    if plane is not None:
        plane.update(routes)

