"""Webhooks as samples: one JSON file for each, in `<folder>/webhooks`.

Its parts: `source`, `kind` and `seen` as in every sample; `text`, the body as it was sent; its
`headers`, with the signature by the secret in `settings.json`; the `event_type` of the URL, if it
has one; `now`, when it arrives. `expect` has the `event` and the `observations` that are read from
it, if any, or `error`: `InvalidWebhook`.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.domain.change_log import Observation
from gateway.providers.base.webhooks import (
    InvalidWebhook,
    ReceivesWebhooks,
    WebhookEvent,
    WebhookRequest,
)
from gateway.testing.replies import alterations, naming
from gateway.testing.samples import WEBHOOKS, as_json, plain


class WebhookSample(msgspec.Struct, forbid_unknown_fields=True):
    """One file; `name` is its place."""

    source: str
    kind: Literal["documented", "recorded", "made"]
    seen: str
    now: datetime
    text: str
    headers: dict[str, str]
    expect: dict[str, Any]
    event_type: str | None = None
    name: str = ""

    def __str__(self) -> str:
        """Return where the file is."""
        return f"{WEBHOOKS}/{self.name}"

    @property
    def request(self) -> WebhookRequest:
        """The webhook as it is received."""
        return WebhookRequest(self.event_type, self.headers, self.text.encode())


def webhook_samples(folder: Path) -> Sequence[WebhookSample]:
    """Return the webhooks of a folder of samples. Raises `ValueError` for one that is none."""
    result = []
    for path in sorted((folder / WEBHOOKS).glob("*.json")):
        try:
            sample = msgspec.json.decode(path.read_bytes(), type=WebhookSample)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path}: {error}") from error
        sample.name = path.stem
        result.append(sample)
    return result


def check_value(adapter: ReceivesWebhooks, sample: WebhookSample) -> None:
    """Check that it is verified, and read as expected."""
    assert adapter.has_webhook_secret
    assert adapter.verify_webhook(sample.request, sample.now) is not None
    try:
        event, observations = _read(adapter, sample.request)
    except InvalidWebhook:
        result: dict[str, Any] = {"error": "InvalidWebhook"}
    else:
        result = {"event": plain(event, None)}
        if observations:
            result["observations"] = plain(observations, None)
    assert sample.expect == result, f"The value is:\n{as_json(result)}"


def check_signature(adapter: ReceivesWebhooks, sample: WebhookSample) -> None:
    """Check that a body or a signature that is another is not accepted."""
    request = sample.request
    changed = [
        request._replace(body=body) for body in (request.body + b"1", request.body[:-1], b"")
    ]
    changed.append(request._replace(headers={}))
    changed += [
        request._replace(headers={**request.headers, name: other})
        for name, value in request.headers.items()
        for other in ("", value[:-1], "\xe9", "0" * len(value))
    ]
    assert [each for each in changed if adapter.verify_webhook(each, sample.now)] == []


def check_odd_payloads(adapter: ReceivesWebhooks, sample: WebhookSample) -> None:
    """Check that a payload with one part missing or retyped raises nothing but our error."""
    for how, document in alterations(msgspec.json.decode(sample.text)):
        request = sample.request._replace(body=msgspec.json.encode(document))
        with naming(how), suppress(InvalidWebhook):
            _read(adapter, request)


def _read(
    adapter: ReceivesWebhooks, request: WebhookRequest
) -> tuple[WebhookEvent, Sequence[Observation]]:
    event = adapter.webhook_event(request)
    return event, adapter.webhook_observations(event.type, event.occurred_at, request.body)
