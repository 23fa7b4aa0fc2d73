"""The webhook service: `/webhook/{tenant}/config` and `/webhook/{tenant}/event-subscriptions`.

Our decisions: an array of changes is applied as a whole or not at all; activating a configuration
deactivates the others; event types that no simulated service has are refused. PUT and DELETE of a
configuration, and changes by the older paths of event types, are not simulated.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from gateway.sandbox.emporix import faults
from gateway.sandbox.emporix.bodies import Metadata, Wire, read
from gateway.sandbox.emporix.operations import ApiCall, Operation, operation
from gateway.sandbox.emporix.tenant import Tenant
from gateway.sandbox.emporix.webhooks import CATALOGUE, HTTP, Config, Subscription
from gateway.sandbox.replies import json_response

READ = "webhook.subscription_read"
MANAGE = "webhook.subscription_manage"
CONFIGS = "/webhook/{tenant}/config"
SUBSCRIPTIONS = "/webhook/{tenant}/event-subscriptions"
ROOT = "/configuration/http/"
ENTRY = f"{ROOT}eventsConfigurationEntry"
MAX_HEADERS = 10
SETTINGS = ("destinationUrl", "secretKey", "headers")
INACCESSIBLE = (
    "destinationUrl: The resource specified by the URL is not accessible. For a webhook to be "
    "accessible, it needs to respond with any successful status for either `HEAD` or `OPTIONS` "
    "request."
)
STALE = (
    "Unique constraint violation for provided eventType and metadata version. It is possible to "
    "update an eventsubscription only by always providing the latest version. Fetch the event "
    "subscriptions to get the latest version."
)


class HeaderValue(Struct):
    """The value of an extra header."""

    value: str


class EntryBody(Wire, kw_only=True):
    """EventConfiguration, without the id that only the service gives."""

    event_type: str
    name: str | UnsetType = UNSET
    destination_url: str | UnsetType = UNSET
    secret_key: str | UnsetType = UNSET
    headers: dict[str, HeaderValue] | UnsetType = UNSET
    excluded_fields: list[str] | UnsetType | None = UNSET
    active: bool = True


class Change(Struct, kw_only=True):
    """WebhookConfigPartialUpdate."""

    op: Literal["REMOVE", "UPSERT"]
    path: str
    value: Any = UNSET


class ConfigBody(Wire, kw_only=True):
    """WebhookConfigCreation."""

    code: str
    provider: Literal["HTTP", "SVIX", "SVIX_SHARED"]
    active: bool = False
    configuration: dict[str, Any] = msgspec.field(default_factory=dict)


class SubscriptionBody(Wire, kw_only=True):
    """WebhookSubscriptionUpdateItem."""

    event_type: str
    action: Literal["SUBSCRIBE", "UNSUBSCRIBE"] | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    fields_to_subscribe: Sequence[str] = ()
    fields_to_unsubscribe: Sequence[str] = ()


class WebhookService:
    """The operations on configurations and subscriptions."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._webhooks = tenant.webhooks

    def operations(self) -> list[Operation]:
        """Return the operations of this service."""
        return [
            operation("GET", CONFIGS, self.list_configs, READ),
            operation("POST", CONFIGS, self.create, MANAGE),
            operation("GET", f"{CONFIGS}/{{code}}", self.get, READ),
            operation("PATCH", f"{CONFIGS}/{{code}}", self.patch, MANAGE),
            operation("GET", SUBSCRIPTIONS, self.subscriptions, READ),
            operation("PATCH", SUBSCRIPTIONS, self.subscribe, MANAGE),
        ]

    def list_configs(self, _call: ApiCall) -> Response:
        """List the configurations, at most one of each strategy."""
        return json_response([_shown(each) for each in self._webhooks.configs.values()])

    def get(self, call: ApiCall) -> Response:
        """Read one configuration; secrets are never shown."""
        return json_response(_shown(self._existing(call)))

    async def create(self, call: ApiCall) -> Response:
        """Create the configuration of a strategy: 201 with its code."""
        body = read(call.json(), ConfigBody)
        if body.code != body.provider.lower():
            raise faults.invalid("does not match the provider", "code")
        if body.code in self._webhooks.configs:
            raise faults.already_exists()
        config = Config(body.code, active=False)
        if body.code == HTTP:
            sent = dict(body.configuration)
            entries = sent.pop("eventsConfiguration", [])
            changes = [Change(op="UPSERT", path=ROOT + name, value=sent[name]) for name in sent]
            changes += [Change(op="UPSERT", path=ENTRY, value=each) for each in entries]
            for change in changes:
                self._apply(config, change)
            await self._check_urls(config)
        self._put(replace(config, active=body.active))
        return json_response({"code": body.code}, HTTPStatus.CREATED)

    async def patch(self, call: ApiCall) -> Response:
        """Change parts of a configuration: 204, without a body."""
        config = deepcopy(self._existing(call))
        body = call.json()
        if not isinstance(body, list):
            raise faults.invalid("must be an array")
        for each in body:
            self._apply(config, read(each, Change))
        await self._check_urls(config)
        self._put(config)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def subscriptions(self, _call: ApiCall) -> Response:
        """List every event type of the catalogue with its subscription."""
        return json_response([self._subscription(each) for each in CATALOGUE])

    def subscribe(self, call: ApiCall) -> Response:
        """Subscribe to event types, or unsubscribe: 207, each stands alone."""
        body = call.json()
        if not isinstance(body, list):
            raise faults.invalid("must be an array")
        results = [self._subscribe(read(each, SubscriptionBody)) for each in body]
        return json_response(results, HTTPStatus.MULTI_STATUS)

    def _existing(self, call: ApiCall) -> Config:
        config = self._webhooks.configs.get(call.path["code"])
        if config is None:
            raise faults.not_found(call.path["code"])
        return config

    def _put(self, config: Config) -> None:
        if config.active:
            for each in self._webhooks.configs.values():
                each.active = False
        self._webhooks.configs[config.code] = config

    def _apply(self, config: Config, change: Change) -> None:
        path, value = change.path, change.value
        removes = change.op == "REMOVE"
        if path == "/active" and isinstance(value, bool) and not removes:
            config.active = value
        elif config.code == HTTP and path in {ROOT + name for name in SETTINGS}:
            name = path.removeprefix(ROOT)
            config.settings.pop(name, None)
            if not removes:
                config.settings |= _entry({"eventType": "", name: value}, name)
        elif config.code == HTTP and path == ENTRY and not removes:
            entry = _entry(value)
            if entry["eventType"] not in CATALOGUE:
                raise faults.invalid("no such event", "eventType")
            config.entries[self._webhooks.new_id()] = entry
        elif config.code == HTTP and path.startswith(f"{ENTRY}/"):
            entry_id, _, name = path.removeprefix(f"{ENTRY}/").partition("/")
            _change_entry(config, entry_id, name, None if removes else value)
        else:
            raise faults.invalid(f"{change.op} is not possible here", path)

    async def _check_urls(self, config: Config) -> None:
        """Check the URLs that are new."""
        old = self._webhooks.configs.get(config.code)
        checked = set() if old is None else _urls(old)
        for url in sorted(_urls(config) - checked):
            if not await self._webhooks.sender.accepts(url):
                raise faults.RefusedError(HTTPStatus.BAD_REQUEST, reason=INACCESSIBLE)

    def _subscription(self, event_type: str) -> Mapping[str, Any]:
        found = self._webhooks.subscriptions.get(event_type)
        shown: dict[str, Any] = {
            "event": {"type": event_type, "eventSchema": {}},
            "metadata": {},
            "subscription": "NONE",
            "excludedFields": [],
        }
        if found is None:
            return shown
        metadata = {
            "version": found.version,
            "createdAt": found.created_at,
            "modifiedAt": found.modified_at,
        }
        state = "SUBSCRIBED" if found.is_active else "UNSUBSCRIBED"
        excluded = list(found.excluded)
        return shown | {"metadata": metadata, "subscription": state, "excludedFields": excluded}

    def _subscribe(self, body: SubscriptionBody) -> Mapping[str, Any]:
        event_type = body.event_type
        result: dict[str, Any] = {"eventType": event_type, "code": 200, "status": "OK"}
        if event_type not in CATALOGUE:
            message = "No catalog events found."
            return result | {"code": 404, "status": "NOT_FOUND", "message": message}
        now, found = self._tenant.now(), self._webhooks.subscriptions.get(event_type)
        sent = UNSET if body.metadata is UNSET else body.metadata.version
        if found is not None and sent != found.version:
            return result | {"code": 409, "status": "CONFLICT", "message": STALE}
        if found is None:
            found = self._webhooks.subscriptions[event_type] = Subscription(now, now, version=0)
        found.version += 1
        found.modified_at = now
        found.is_active = body.action != "UNSUBSCRIBE"
        excluded = {*found.excluded, *body.fields_to_unsubscribe} - {*body.fields_to_subscribe}
        found.excluded = tuple(sorted(excluded))
        return result


def _entry(value: Any, field: str = "") -> dict[str, Any]:
    """Return what was sent of an entry, or one `field` of it, checked."""
    sent = value if isinstance(value, dict) else {}
    if "id" in sent:
        raise faults.invalid("must not be sent: the service generates it", "id")
    if sent.get("filter"):
        raise faults.invalid("is not simulated", "filter")
    body = read(value, EntryBody)
    if body.headers is not UNSET and len(body.headers) > MAX_HEADERS:
        raise faults.invalid(f"at most {MAX_HEADERS}", "headers")
    return {field: sent[field]} if field else sent | {"eventType": body.event_type.lower()}


def _change_entry(config: Config, entry_id: str, name: str, value: Any) -> None:
    entry = config.entries.get(entry_id)
    if entry is None:
        raise faults.invalid("no such entry", entry_id)
    if name:
        rest = {key: part for key, part in entry.items() if key != name}
        config.entries[entry_id] = _entry(rest if value is None else rest | {name: value})
    elif value is None:
        del config.entries[entry_id]
    else:
        config.entries[entry_id] = _entry(value)


def _urls(config: Config) -> set[str]:
    parts = (config.settings, *config.entries.values())
    return {each["destinationUrl"] for each in parts if "destinationUrl" in each}


def _shown(config: Config) -> Mapping[str, Any]:
    shown = {"code": config.code, "provider": config.code.upper(), "active": config.active}
    if config.code != HTTP:
        return shown
    entries = [
        _without_secret(entry) | {"id": entry_id, "active": entry.get("active", True)}
        for entry_id, entry in config.entries.items()
    ]
    general = _without_secret(config.settings)
    return shown | {"configuration": general | {"eventsConfiguration": entries}}


def _without_secret(settings: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: part for name, part in settings.items() if name != "secretKey"}
    return shown | {"secretKeyExists": "secretKey" in settings}
