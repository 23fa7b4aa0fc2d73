"""What the input of a mutation is about, for the audit log: ids, and nothing else of it."""

from typing import Any

from gateway.errors import BadInput
from gateway.observability.audit import Targets
from resolvers import global_ids
from resolvers.global_ids import Kind
from resolvers.inputs.filters import given
from resolvers.inputs.mutation_inputs import CustomerSegmentsInput


def targets(asked: Any) -> Targets:
    """Return what an input names, as far as it names it rightly."""
    found = Targets()
    _note(found, asked)
    for name in ("segments", "assignments", "customers"):
        for row in _list(asked, name):
            if not isinstance(row, str):
                _note(found, row)
    return found


def destinations(asked: Any) -> frozenset[str]:
    """Return the keys of the providers that an input writes to, as far as it names them rightly.

    Several only for a bulk of global ids.
    """
    provider = getattr(asked, "provider", None)
    if provider:
        return frozenset({provider})
    single = given(getattr(asked, "id", None)) or given(getattr(asked, "segment_id", None))
    found = Targets()
    for text in [single] if single else _list(asked, "ids"):
        _note_id(found, text)
    return frozenset(found.providers)


def _note(found: Targets, asked: Any) -> None:
    """Take in one input, or one row of a bulk."""
    for name in ("id", "segment_id", "customer_id"):
        _note_id(found, given(getattr(asked, name, None)))
    for name in ("ids", "segment_ids", "customers"):
        for text in _list(asked, name):
            _note_id(found, text)
    _note_own_ids(found, asked)


def _note_own_ids(found: Targets, asked: Any) -> None:
    """Take in the providers' own ids."""
    if provider := getattr(asked, "provider", None):
        found.providers[provider] = None
    if external_id := given(getattr(asked, "external_id", None)):
        of_customer = isinstance(asked, CustomerSegmentsInput)
        (found.customers if of_customer else found.segments)[external_id] = None
    if identity := given(getattr(asked, "identity", None)):
        found.customers[identity.external_id] = None
    found.customers.update(dict.fromkeys(_list(asked, "customer_external_ids")))
    if isinstance(asked, CustomerSegmentsInput):
        pairs = (f"{tag.type}:{tag.value}" for tag in _list(asked, "segments"))
        found.segments.update(dict.fromkeys(pairs))


def _note_id(found: Targets, text: Any) -> None:
    if not isinstance(text, str):
        return
    try:
        kind, (provider, *keys) = global_ids.read(text)
    except BadInput:
        return
    found.providers[provider] = None
    if kind in {Kind.SEGMENT, Kind.ASSIGNMENT}:
        found.segments[keys[0]] = None
    if kind in {Kind.CUSTOMER, Kind.ASSIGNMENT}:
        found.customers[keys[1 if kind is Kind.ASSIGNMENT else 0]] = None


def _list(asked: Any, name: str) -> list[Any]:
    return given(getattr(asked, name, None)) or []
