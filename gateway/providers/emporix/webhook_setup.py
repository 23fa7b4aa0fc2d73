"""Set up Emporix's webhooks: subscriptions, and targets of the HTTP strategy.

Facts: the webhook service's OpenAPI file and tutorial in github.com/emporix/api-references, read
2026-11-29. A target is an entry of an event type; an entry takes precedence over the general
`destinationUrl`, and only one strategy can be active.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from gateway.errors import Refused
from gateway.providers.base.decoding import check, decode
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.base.webhooks import CannotSetUp, WebhookChanges, WebhookTarget
from gateway.providers.emporix.webhooks import EVENT_TYPES, EmporixWebhooks

ENTRY: Final = "/configuration/http/eventsConfigurationEntry"
HTTP: Final = "http"
WRITTEN: Final = frozenset({HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})
SUBSCRIBED: Final = "SUBSCRIBED"


class _Config(msgspec.Struct, frozen=True):
    code: str
    active: bool = False


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    event_type: str
    destination_url: str | None = None


class _HttpSettings(msgspec.Struct, frozen=True, rename="camel"):
    destination_url: str | None = None
    events_configuration: Sequence[_Entry] = ()


class _Http(msgspec.Struct, frozen=True):
    active: bool = False
    configuration: _HttpSettings = _HttpSettings()


class _EventType(msgspec.Struct, frozen=True):
    type: str


class _Version(msgspec.Struct, frozen=True):
    version: int | None = None


class _Subscription(msgspec.Struct, frozen=True):
    event: _EventType
    subscription: str = ""
    metadata: _Version = _Version()


class _Result(msgspec.Struct, frozen=True):
    code: int


class WebhookState(NamedTuple):
    """What is set up: the replies to `webhook_state`."""

    configs: Sequence[_Config]
    http: _Http | None
    subscriptions: Sequence[_Subscription]


class EmporixWebhookSetup(EmporixWebhooks):
    """The part of the adapter that sets up webhooks."""

    def webhook_setup(self, url: str) -> Sequence[str]:
        """Return the requests that subscribe to each event type and add its target."""
        subscriptions = [{"eventType": each, "action": "SUBSCRIBE"} for each in EVENT_TYPES]
        lines = [
            "At Emporix, subscribe to the event types:",
            f"PATCH {self._webhook_path('event-subscriptions')}",
            json.dumps(subscriptions, indent=2),
            "",
        ]
        if self._is_svix:
            targets = [f"{url}/{each}" for each in EVENT_TYPES]
            return [*lines, "In Svix, add an endpoint for each of these types:", *targets]
        upserts = [
            _upsert(each, target)
            for each in EVENT_TYPES
            if (target := self.webhook_target(url, each)) is not None
        ]
        return [
            *lines,
            (
                "Then add the targets. Only one delivery strategy can be active: if it is Svix,"
                " do not switch, or its consumers get nothing any more."
            ),
            f"PATCH {self._webhook_path('config/http')}",
            json.dumps(upserts, indent=2),
            "",
            "`gateway webhooks apply` does both, and adds only what is missing.",
        ]

    def webhook_state(self) -> Sequence[Exchange[Any]]:
        """Read what is set up: configurations, that of HTTP, and subscriptions."""

        def read_http(reply: Reply) -> _Http | None:
            if reply.status == HTTPStatus.NOT_FOUND:
                return None
            return decode(self.key, "webhooks.config", reply, _Http)

        return [
            Exchange(
                "webhooks.configs",
                Call("GET", self._webhook_path("config")),
                lambda reply: decode(self.key, "webhooks.configs", reply, list[_Config]),
            ),
            Exchange("webhooks.config", Call("GET", self._webhook_path("config/http")), read_http),
            Exchange(
                "webhooks.subscriptions",
                Call("GET", self._webhook_path("event-subscriptions")),
                lambda reply: decode(
                    self.key, "webhooks.subscriptions", reply, list[_Subscription]
                ),
            ),
        ]

    def webhook_changes(self, url: str, state: Sequence[Any]) -> WebhookChanges:
        """Return what is missing; nothing that exists is changed. Raises `CannotSetUp`."""
        if self._is_svix:
            raise CannotSetUp(
                "webhook_secret is one of Svix: add its endpoints there, as printed by"
                " `gateway webhooks plan`."
            )
        now = WebhookState(*state)
        self._check_strategy(now)
        offered = {each.event.type.lower(): each for each in now.subscriptions}
        targets = {
            each: target
            for each in EVENT_TYPES
            if each in offered and (target := self.webhook_target(url, each)) is not None
        }
        settings = _HttpSettings() if now.http is None else now.http.configuration
        existing = {(each.event_type.lower(), each.destination_url) for each in _entries(now)}
        missing = {each: to for each, to in targets.items() if (each, to.url) not in existing}
        wanted = [each for each in targets if offered[each].subscription != SUBSCRIBED]
        if now.http is not None and now.http.active and settings.destination_url:
            _check_general(settings, missing, wanted)
        exchanges = [self._add_targets(now, missing)] if missing else []
        if wanted:
            exchanges.append(self._subscribe([offered[each] for each in wanted]))
        return WebhookChanges(
            summary=[
                *(f"add target      {each}  {to.url}" for each, to in missing.items()),
                *(f"subscribe to    {each}" for each in wanted),
            ],
            exchanges=exchanges,
            afterwards=self._afterwards(
                now, [each for each in EVENT_TYPES if each not in offered]
            ),
        )

    def _webhook_path(self, rest: str) -> str:
        return f"/webhook/{self._settings.tenant}/{rest}"

    def _check_strategy(self, now: WebhookState) -> None:
        for each in now.configs:
            if each.active and each.code != HTTP:
                raise CannotSetUp(
                    f"The strategy {each.code!r} is active at Emporix, and only one can be: over"
                    " HTTP, its consumers would get nothing any more. Add an endpoint in Svix,"
                    " and set webhook_secret to its whsec_ secret."
                )

    def _add_targets(
        self, now: WebhookState, missing: Mapping[str, WebhookTarget]
    ) -> Exchange[None]:
        upserts = [_upsert(each, target) for each, target in missing.items()]
        call = json_call("PATCH", self._webhook_path("config/http"), upserts)
        if now.http is None:
            created = {
                "code": HTTP,
                "provider": "HTTP",
                "active": True,
                "configuration": {"eventsConfiguration": [each["value"] for each in upserts]},
            }
            call = json_call("POST", self._webhook_path("config"), created)

        def read(reply: Reply) -> None:
            check(self.key, "webhooks.add_targets", reply, WRITTEN)

        # Sent twice, it would add each target twice.
        return Exchange("webhooks.add_targets", call, read, is_idempotent=False)

    def _subscribe(self, wanted: Sequence[_Subscription]) -> Exchange[None]:
        operation = "webhooks.subscribe"

        def read(reply: Reply) -> None:
            results = decode(
                self.key, operation, reply, list[_Result], frozenset({HTTPStatus.MULTI_STATUS})
            )
            failed = [each.code for each in results if each.code != HTTPStatus.OK]
            if failed or len(results) != len(wanted):
                raise Refused(self.key, operation, status=failed[0] if failed else reply.status)

        items = [
            {"eventType": each.event.type, "action": "SUBSCRIBE"}
            | (
                {}
                if each.metadata.version is None
                else {"metadata": {"version": each.metadata.version}}
            )
            for each in wanted
        ]
        call = json_call("PATCH", self._webhook_path("event-subscriptions"), items)
        return Exchange(operation, call, read, is_idempotent=False)

    def _afterwards(self, now: WebhookState, unknown: Sequence[str]) -> Sequence[str]:
        lines = []
        if now.http is not None and not now.http.active:
            lines.append(
                "The HTTP strategy is not active: nothing is sent until you activate it, with"
                f" PATCH {self._webhook_path('config/http')}"
                ' [{"op": "UPSERT", "path": "/active", "value": true}]'
            )
        if unknown:
            lines.append(f"This tenant does not offer: {', '.join(unknown)}")
        lines.append(
            "Targets that were there already keep their secretKey. If you have changed"
            " webhook_secret since, keep the one before as webhook_secret_old."
        )
        return lines


def _entries(now: WebhookState) -> Sequence[_Entry]:
    return () if now.http is None else now.http.configuration.events_configuration


def _check_general(
    settings: _HttpSettings, missing: Mapping[str, WebhookTarget], wanted: Sequence[str]
) -> None:
    """Refuse to take events away from the general URL. Raises `CannotSetUp`."""
    with_entries = {each.event_type.lower() for each in settings.events_configuration}
    taken = [each for each in missing if each not in with_entries and each not in wanted]
    if taken:
        raise CannotSetUp(
            f"Emporix sends {', '.join(taken)} to the general destinationUrl. An entry of a type"
            " takes precedence over it, so that its receiver would get these no more: add an entry"
            " with that URL for each of these types first."
        )


def _upsert(event_type: str, target: WebhookTarget) -> Mapping[str, Any]:
    value = {
        "name": "Segment gateway",
        "eventType": event_type,
        "destinationUrl": target.url,
        "secretKey": target.secret,
        # None are left out, whatever the subscription leaves out.
        "excludedFields": [],
        "active": True,
    }
    return {"op": "UPSERT", "path": ENTRY, "value": value}
