"""What Emporix is sent: whole documents of segments, and patches of them.

Facts: the OpenAPI file of the customer segment service and standard-practices/* in
github.com/emporix/api-references, read 2026-11-21. Texts are maps of languages, as
`Content-Language: *` asks for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.domain.entities import Segment
from gateway.domain.mutations import SegmentChanges, SegmentDraft, Validity
from gateway.domain.texts import Texts
from gateway.providers.base.decoding import iso
from gateway.providers.emporix.model import Account


def drafted(account: Account, draft: SegmentDraft) -> dict[str, Any]:
    """Return the document of a draft, with its id where it has one."""
    return _given(
        {
            "id": draft.key,
            "name": _map(account, draft.name, draft.names),
            "description": _map(account, draft.description, draft.descriptions),
            "validity": _frame(draft.validity),
            "status": None if draft.status is None else draft.status.value,
            "siteCode": draft.site_code,
            "mixins": draft.attributes,
            "metadata": None if draft.version is None else {"version": draft.version},
        }
    )


def edited(account: Account, current: Segment, changes: SegmentChanges) -> dict[str, Any]:
    """Return the fields that changes are of, each as it is to be; None clears it."""
    status = changes.status
    frame = changes.validity
    fields: dict[str, Any] = {
        "name": _merged(account, current.names, changes.name, changes.names),
        "description": _merged(
            account, current.descriptions, changes.description, changes.descriptions
        ),
        "validity": frame if frame is UNSET else _frame(frame),
        "status": status.value if status else status,
        "siteCode": changes.site_code,
        "mixins": changes.attributes,
    }
    return {field: value for field, value in fields.items() if value is not UNSET}


def patch(current: Segment, fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the JSON Patch (RFC 6902) that gives a segment these fields; None clears one.

    Whole fields, since the documents show no operation within a text or a time frame. There is
    none for what is absent already: a patch that removes or replaces it would fail.
    """
    stored = _stored(current)
    operations: list[Mapping[str, Any]] = []
    for field, value in fields.items():
        is_there = stored.get(field) is not None
        if value is not None:
            verb = "replace" if is_there else "add"
            operations.append({"op": verb, "path": f"/{field}", "value": value})
        elif is_there:
            operations.append({"op": "remove", "path": f"/{field}"})
    return operations


def rewritten(current: Segment, fields: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """Return a segment's whole document with these fields, for a write over this version.

    What a whole write leaves out is lost: the schemas of mixins are kept, beside those mixins
    that stay.
    """
    stored = _stored(current)
    written = {
        "name": current.names.by_language,
        "description": current.descriptions.by_language or None,
        **{field: stored.get(field) for field in ("validity", "status", "siteCode", "mixins")},
        **fields,
    }
    metadata: dict[str, Any] = {"version": version}
    schemas = (stored.get("metadata") or {}).get("mixins")
    if isinstance(schemas, dict) and written["mixins"]:
        metadata["mixins"] = {name: schemas[name] for name in schemas if name in written["mixins"]}
    return _given({**written, "metadata": metadata})


def merged(current: Segment, fields: Mapping[str, Any]) -> bytes:
    """Return a segment's document with these fields instead of its own."""
    return msgspec.json.encode(_given({**_stored(current), **fields}))


def _stored(current: Segment) -> Mapping[str, Any]:
    """Return the document that a segment was read from."""
    document: Mapping[str, Any] = msgspec.json.decode(bytes(current.raw or b"{}"))
    return document


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value is not None}


def _map(
    account: Account, text: str | None, texts: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    if texts is not None:
        return texts or None
    return None if text is None else {account.language: text}


def _merged(
    account: Account,
    current: Texts,
    text: str | UnsetType | None,
    texts: Mapping[str, str] | UnsetType | None,
) -> Mapping[str, str] | UnsetType | None:
    """Return a text in all its languages after a change of all or of the default one."""
    if texts is not UNSET:
        return texts or None
    if text is UNSET:
        return UNSET
    others = {
        language: other
        for language, other in current.by_language.items()
        if language != account.language
    }
    return (others if text is None else {account.language: text, **others}) or None


def _frame(validity: Validity | None) -> Mapping[str, str] | None:
    """Return a time frame as Emporix has it; None when both its ends are open."""
    if validity is None:
        return None
    ends = {"from": validity.since, "to": validity.until}
    return {name: iso(moment) for name, moment in ends.items() if moment is not None} or None
