"""Signatures and payloads of webhooks, against the providers' own vectors and real programs."""

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr, ValidationError

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
    ProviderObservation,
    SegmentObservation,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.providers.base.canonical_json import canonical
from gateway.providers.base.webhooks import InvalidWebhook, WebhookRequest
from gateway.providers.emporix import webhooks as emporix_webhooks
from gateway.providers.emporix.adapter import Emporix, EmporixSettings
from gateway.providers.voucherify import webhooks as voucherify_webhooks
from gateway.providers.voucherify.adapter import Voucherify, VoucherifySettings

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
KEY = "secretKey"
CREATED = "customer-segment.customer-assignment-created"
DELETED = "customer-segment.customer-assignment-deleted"
METADATA = {
    "createdAt": "2026-11-22T09:00:00Z",
    "modifiedAt": "2026-11-22T09:30:00Z",
    "version": 4,
}
MODIFIED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
VENDOR_DATA = {
    "customer": {
        "id": "cust_5P5B8oy1pxM3sTOZ8qDpmkpG",
        "source_id": "a-tst",
        "name": "Alex Test",
        "metadata": {},
        "created_at": "2024-02-29T14:04:46.506Z",
        "object": "customer",
    },
    "segment": {
        "id": "seg_n3vVcU5t0m3rs4rEPr3C1oU5",
        "name": "New Customers",
        "object": "segment",
    },
}


def voucherify(secret: str | None = KEY, old: str | None = None) -> Voucherify:
    """Return the adapter of an account with these secrets."""
    return Voucherify(
        VoucherifySettings(
            key="promo",
            kind="voucherify",
            base_url="https://api.example",
            app_id=SecretStr("id"),
            app_token=SecretStr("token"),
            webhook_secret=None if secret is None else SecretStr(secret),
            webhook_secret_old=None if old is None else SecretStr(old),
        )
    )


def emporix(secret: str | None = KEY, old: str | None = None) -> Emporix:
    """Return the adapter of an account with these secrets."""
    return Emporix(
        EmporixSettings(
            key="shop",
            kind="emporix",
            base_url="https://api.example",
            tenant="acme",
            client_id="id",
            client_secret=SecretStr("secret"),
            webhook_secret=None if secret is None else SecretStr(secret),
            webhook_secret_old=None if old is None else SecretStr(old),
        )
    )


def envelope(event_type: str, data: object = VENDOR_DATA, event_id: str = "evt_1") -> bytes:
    """Return Voucherify's default envelope."""
    event = {"id": event_id, "type": event_type, "created_at": "2026-11-22T09:30:00.000Z"}
    body = {"id": "whs_1", "project_id": "proj_1", "type": "my name", "data": data, "event": event}
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (b'{"a":1}', "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2"),
        (b' {"a":\n\t1} \r\n', "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2"),
        (b'{"a\\"b":1}', "f7cf97814a03146abedb9793f56e1dec34f618f82d10395310d053f749483ffb"),
        (b'{ "a\\"b" : 1 }', "f7cf97814a03146abedb9793f56e1dec34f618f82d10395310d053f749483ffb"),
    ],
)
def test_voucherify_vectors(body: bytes, signature: str) -> None:
    """Voucherify's own vectors are valid, with and without insignificant whitespace."""
    request = WebhookRequest(None, {"x-voucherify-signature": signature}, body)
    assert voucherify().verify_webhook(request, NOW) == "compact"
    assert voucherify("other").verify_webhook(request, NOW) is None
    assert voucherify().verify_webhook(request._replace(body=body + b"1"), NOW) is None
    assert voucherify().verify_webhook(request._replace(event_type="x"), NOW) is None


@pytest.mark.parametrize(
    ("text", "compact"),
    [
        (b'{"a": " b \\" c ", "\\\\": 1.0}', b'{"a":" b \\" c ","\\\\":1.0}'),
        (b'"\\/ \\u00e9"', b'"\\/ \\u00e9"'),
        (b'[1 ,"open \\', b'[1,"open \\'),
        (b'"\xff " 1', b'"\xff "1'),
    ],
)
def test_compact(text: bytes, compact: bytes) -> None:
    """Only whitespace outside strings goes, whatever else the bytes are."""
    assert voucherify_webhooks.compact(text) == compact


def test_compacting_is_linear() -> None:
    """A body of a megabyte of quotes and escapes takes a moment, not hours."""
    start = time.process_time()
    for body in (b'"' + b'\\"' * 500_000, b"\\" * 1_000_000, b'" ' * 500_000):
        voucherify_webhooks.compact(body)
    assert time.process_time() - start < 20


def test_raw_body_and_rotation() -> None:
    """The raw bytes count second; during rotation the old secret counts, afterwards no more."""
    body = b'{"a": 1}'
    for secret in ("new", "old"):
        for form, signed in (("raw", body), ("compact", b'{"a":1}')):
            signature = voucherify_webhooks.signature(secret, signed)
            request = WebhookRequest(None, {"x-voucherify-signature": signature}, body)
            assert voucherify("new", "old").verify_webhook(request, NOW) == form
            only_new = voucherify("new").verify_webhook(request, NOW)
            assert only_new == (form if secret == "new" else None)


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (
            '{"b":1,"a":{"d":[3,1],"c":"é"}}',
            "DyObgT792WEvhSxDhsbB5UX1AMWT/fZhBPRLX/l5504=",
        ),
        ('{"id":"golden","tenant":"acme"}', "k0zaCGD+kJlDKUqhq0gx+H+p6n6TC7nakyQVPFKY3tw="),
        (
            '{"n":1.0,"big":1e21,"u":"\\u00e9\\/"}',
            "WoNrTlH4M909TrXD6EfbxCrdvsmFmdt82hCPPePnuXE=",
        ),
    ],
)
def test_emporix_vectors(body: str, signature: str) -> None:
    """The canonical form is signed as the rule says."""
    assert emporix_webhooks.signature("secretKey", canonical(body.encode())) == signature


def test_emporix_secret_of_a_type() -> None:
    """Each event type has a secret of its own, so that a signature is good for one type only."""
    derived = "5d6620580a8cc1da464aab2d95da7c72fdd717f90c216cdf00022234a27e90f2"
    assert emporix_webhooks.secret_for("secretKey", CREATED) == derived
    headers = {"emporix-event-signature": "lyfeh7F14/DlCA9MF8kfFe0ZSDcka/CLNzOmALr1mYc="}
    request = WebhookRequest(CREATED, headers, b'{"tenant": "acme", "id": "golden"}')
    assert emporix().verify_webhook(request, NOW) == "canonical"
    assert emporix("new", "secretKey").verify_webhook(request, NOW) == "canonical"
    assert emporix("new").verify_webhook(request, NOW) is None
    assert emporix(None).verify_webhook(request, NOW) is None
    for other in (DELETED, "customer-segment.unknown", None):
        assert emporix().verify_webhook(request._replace(event_type=other), NOW) is None


def test_emporix_raw_body() -> None:
    """The raw bytes count second, also where there is no canonical form."""
    body = b"[" * 100_000
    signature = emporix_webhooks.signature(emporix_webhooks.secret_for("secretKey", CREATED), body)
    request = WebhookRequest(CREATED, {"emporix-event-signature": signature}, body)
    assert emporix().verify_webhook(request, NOW) == "raw"


NUMBERS = "0 -0 1.0 100 1e20 1e21 123456789012345678901234567890 1e-6 1e-7 1.5e-9 0.1 -2.50 1e400"


def test_canonical_form_is_that_of_javascript() -> None:
    """Numbers, escapes and the order of keys are what Node writes."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: install Node.js 20")
    texts = ['"\\u0000\\b\\f\\n\\u001f\\u007f\\u2028\\"\\\\\\/\\ud800é😀"']
    texts += [*NUMBERS.split(), "1.7976931348623157e308", "5e-324", "4.35", "123456.789"]
    document = f'{{"é":[{",".join(texts)}],"b":{{"z":null,"Z":true}},"\\ud83d":1,"\\uffff":2}}'
    sort = (
        "const s=v=>Array.isArray(v)?v.map(s):v&&typeof v=='object'?Object.fromEntries("
        "Object.keys(v).sort().map(k=>[k,s(v[k])])):v;"
        "process.stdout.write(JSON.stringify(s(JSON.parse(require('fs').readFileSync(0)))))"
    )
    written = subprocess.run(  # Node, with a script of ours
        [node, "-e", sort], input=document.encode(), capture_output=True, check=True
    )
    assert canonical(document.encode()) == written.stdout


def svix_request(secret: str, body: bytes, sent_at: datetime = NOW) -> WebhookRequest:
    """Return a message as Svix sends it."""
    timestamp = str(int(sent_at.timestamp()))
    signature = emporix_webhooks.svix_signature(secret, "msg_1", timestamp, body)
    headers = {
        "svix-id": "msg_1",
        "svix-timestamp": timestamp,
        "svix-signature": f"v1,bm90IHRoaXM= {signature}",
    }
    return WebhookRequest(DELETED, headers, body)


SVIX_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SVIX_OLD = "whsec_c2VjcmV0S2V5"


def test_svix_vector() -> None:
    """The signature is the one that Svix's documentation computes (docs.svix.com)."""
    body = b'{"test": 2432232314}'
    signed = emporix_webhooks.svix_signature(
        SVIX_SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_svix_signatures() -> None:
    """A Svix account takes fresh Svix messages of both secrets, and nothing else."""
    adapter, body = emporix(SVIX_SECRET, SVIX_OLD), b"{}"
    for secret in (SVIX_SECRET, SVIX_OLD):
        assert adapter.verify_webhook(svix_request(secret, body), NOW) == "svix"
    assert emporix(SVIX_SECRET).verify_webhook(svix_request(SVIX_OLD, body), NOW) is None
    for seconds, expected in ((299, "svix"), (-299, "svix"), (301, None), (-301, None)):
        sent_at = NOW + timedelta(seconds=seconds)
        assert adapter.verify_webhook(svix_request(SVIX_SECRET, body, sent_at), NOW) == expected
    http_key = emporix_webhooks.secret_for(SVIX_SECRET, DELETED)
    http = {"emporix-event-signature": emporix_webhooks.signature(http_key, body)}
    assert adapter.verify_webhook(WebhookRequest(DELETED, http, body), NOW) is None
    assert emporix().verify_webhook(svix_request(SVIX_SECRET, body), NOW) is None


def test_svix_secret_that_is_none() -> None:
    """A `whsec_` secret that is not base64 is a problem of the settings."""
    with pytest.raises(ValidationError, match="is not base64"):
        emporix("whsec_*")


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("customer.segment.entered", ChangeKind.ENTERED),
        ("customer.segment.left", ChangeKind.LEFT),
    ],
)
def test_voucherify_membership(event_type: str, kind: ChangeKind) -> None:
    """The event is what `event` says, not the name that a user gave the distribution."""
    body = envelope(event_type)
    event = voucherify().webhook_event(WebhookRequest(None, {}, body))
    assert event == (event_type, "evt_1", MODIFIED, False)
    ref = AssignmentRef("promo", "seg_n3vVcU5t0m3rs4rEPr3C1oU5", "cust_5P5B8oy1pxM3sTOZ8qDpmkpG")
    assert voucherify().webhook_observations(event_type, MODIFIED, body) == [
        AssignmentObservation(
            ref=ref, kind=kind, source=ChangeSource.WEBHOOK, occurred_at=MODIFIED
        )
    ]


def test_voucherify_other_events() -> None:
    """A customer's event drops caches; what does not concern segments has no effect."""
    adapter = voucherify()
    assert adapter.webhook_observations("customer.updated", NOW, envelope("customer.updated")) == [
        ProviderObservation(provider="promo", source=ChangeSource.WEBHOOK, occurred_at=NOW)
    ]
    assert adapter.webhook_observations("voucher.created", NOW, envelope("voucher.created")) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"\xff",
        b"{}",
        b'{"customer":{},"segment":{}}',
        envelope("customer.segment.entered", {"customer": {"id": "c"}}),
        envelope("customer.segment.entered", {"customer": {"id": 1}, "segment": {"id": "s"}}),
        envelope("customer.segment.left", event_id="a\0b"),
        envelope("customer.segment.left", event_id="e" * 256),
    ],
)
def test_voucherify_reshaped(body: bytes) -> None:
    """A payload that is not the default one is refused, and the reason holds nothing of it."""
    with pytest.raises(InvalidWebhook) as caught:
        voucherify().webhook_event(WebhookRequest(None, {}, body))
    assert "cust" not in str(caught.value).replace("customer", "")


def assignment(**changed: object) -> dict[str, object]:
    """Return the payload of an assignment that was created."""
    return {
        "segmentId": "gold",
        "tenant": "acme",
        "assignmentType": "DIRECT",
        "customer": {"id": "1", "email": "ada@example.com"},
        "metadata": METADATA,
        **changed,
    }


SEGMENT = {"id": "gold", "tenant": "acme", "name": {"en": "Gold"}, "metadata": METADATA}
ITEM = {"segmentId": "gold", "tenant": "acme", "type": "PRODUCT", "item": {"id": "p"}}
GONE = {"segmentId": "gold", "tenant": "acme", "customerId": "1", "legalEntityId": "le"}


def of_assignment(
    kind: ChangeKind, entity: str | None = None, version: int | None = 4
) -> Observation:
    """Return what is observed of the assignment."""
    return AssignmentObservation(
        ref=AssignmentRef("shop", "gold", "1", entity),
        kind=kind,
        source=ChangeSource.WEBHOOK,
        occurred_at=MODIFIED,
        version=version,
    )


def of_segment(kind: ChangeKind, version: int | None = 4) -> Observation:
    """Return what is observed of the segment."""
    return SegmentObservation(
        ref=Ref("shop", "gold"),
        kind=kind,
        source=ChangeSource.WEBHOOK,
        occurred_at=MODIFIED,
        version=version,
    )


TOUCHED = ProviderObservation(provider="shop", source=ChangeSource.WEBHOOK, occurred_at=MODIFIED)


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("segment-created", SEGMENT, [of_segment(ChangeKind.CREATED)]),
        ("segment-updated", SEGMENT, [of_segment(ChangeKind.UPDATED)]),
        (
            "segment-deleted",
            {"id": "gold", "tenant": "acme"},
            [of_segment(ChangeKind.DELETED, None)],
        ),
        ("customer-assignment-created", assignment(), [of_assignment(ChangeKind.ENTERED)]),
        (
            "customer-assignment-updated",
            assignment(legalEntity={"id": "le"}),
            [of_assignment(ChangeKind.UPDATED, "le")],
        ),
        ("customer-assignment-deleted", GONE, [of_assignment(ChangeKind.LEFT, "le", None)]),
        (
            "item-assignment-created",
            {**ITEM, "metadata": METADATA},
            [of_segment(ChangeKind.UPDATED, None)],
        ),
        (
            "item-assignment-deleted",
            {"segmentId": "gold", "tenant": "acme", "type": "PRODUCT", "itemId": "p"},
            [of_segment(ChangeKind.UPDATED, None)],
        ),
        (
            "segment-group-assignment-deleted",
            {"segmentId": "gold", "tenant": "acme", "groupId": "g"},
            [],
        ),
        (
            "customer.updated",
            {"id": "1", "customerNumber": "1", "tenant": "acme", "contactEmail": "a@b.c"},
            [TOUCHED],
        ),
        (
            "customer.deleted",
            {"customerNumber": "1", "email": "a@b.c", "triggeredBy": "2", "tenant": "acme"},
            [TOUCHED],
        ),
    ],
)
def test_emporix_events(name: str, payload: object, expected: list[Observation]) -> None:
    """Each documented payload is read; a deletion waits for its confirmation."""
    event_type = name if name.startswith("customer.") else f"customer-segment.{name}"
    body = json.dumps(payload).encode()
    headers = {"emporix-event-publish-time": "2026-11-22T09:45:00Z"}
    event = emporix().webhook_event(WebhookRequest(event_type, headers, body))
    assert event.needs_confirmation == (name in {"segment-deleted", "customer-assignment-deleted"})
    published = datetime(2026, 11, 22, 9, 45, tzinfo=UTC)
    assert event.occurred_at == (MODIFIED if "metadata" in json.loads(body) else published)
    assert [*emporix().webhook_observations(event_type, MODIFIED, body)] == expected


def test_emporix_dedupe_key() -> None:
    """It is of the type, the canonical body and the publish time; with Svix its message id."""
    headers = {"emporix-event-publish-time": "2026-11-22T09:45:00Z"}
    body = json.dumps(assignment()).encode()
    request = WebhookRequest(CREATED, headers, body)
    key = emporix().webhook_event(request).dedupe_key
    same = request._replace(body=json.dumps(assignment(), indent=1).encode())
    updated = "customer-segment.customer-assignment-updated"
    others = [
        request._replace(event_type=updated),
        request._replace(headers={}),
        request._replace(body=json.dumps(assignment(legalEntity=None)).encode()),
    ]
    assert emporix().webhook_event(same).dedupe_key == key
    assert len({key, *(emporix().webhook_event(each).dedupe_key for each in others)}) == 4
    svix = svix_request(SVIX_SECRET, json.dumps(GONE).encode())
    assert emporix(SVIX_SECRET).webhook_event(svix) == (DELETED, "msg_1", NOW, True)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("segment-created", {"id": "gold", "tenant": "acme"}),
        ("segment-deleted", SEGMENT),
        ("customer-assignment-created", GONE),
        ("customer-assignment-deleted", assignment()),
        ("customer-assignment-created", assignment(tenant="other")),
        (
            "customer-assignment-created",
            assignment(metadata={"modifiedAt": "2026-11-22T09:30:00"}),
        ),
        ("item-assignment-created", {"segmentId": "gold", "tenant": "acme", "itemId": "p"}),
    ],
)
def test_emporix_other_shapes(name: str, payload: object) -> None:
    """Another type's shape, another tenant's webhook and a time without offset are refused."""
    body = json.dumps(payload).encode()
    with pytest.raises(InvalidWebhook):
        emporix().webhook_event(WebhookRequest(f"customer-segment.{name}", {}, body))
