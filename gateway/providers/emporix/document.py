"""Build the documents and patches of segments that Emporix is sent.

Facts: the OpenAPI file of the customer segment service and standard-practices/* in
github.com/emporix/api-references, read 2026-11-21. Texts are maps by language, as
`Content-Language: *` requires.
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
    """Return the document of a draft, with its id if it has one."""
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
    """Return the new values of the fields that change; None clears a field."""
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
    """Return the JSON Patch (RFC 6902) that sets these fields of a segment; None clears a field.

    Fields are patched as a whole, since the documents show no operation within a text or a time
    frame. A field that is absent is not removed or replaced: such a patch would fail.
    """
    stored = _stored(current)
    operations: list[Mapping[str, Any]] = []
    for field, value in fields.items():
        is_present = stored.get(field) is not None
        if value is not None:
            op = "replace" if is_present else "add"
            operations.append({"op": op, "path": f"/{field}", "value": value})
        elif is_present:
            operations.append({"op": "remove", "path": f"/{field}"})
    return operations


def rewritten(current: Segment, fields: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """Return a segment's whole document with these fields, for a write that checks the version.

    Such a write removes what is left out. So the document contains the schemas of the mixins that
    remain.
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
    """Return a segment's document with these fields replaced."""
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
    """Return a text in all its languages after a change of all of them or of the default one."""
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
    """Return a time frame in Emporix's format; None if both its ends are open."""
    if validity is None:
        return None
    ends = {"from": validity.since, "to": validity.until}
    return {name: iso(moment) for name, moment in ends.items() if moment is not None} or None
