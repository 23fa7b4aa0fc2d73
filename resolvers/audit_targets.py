"""The ids in the input of a mutation, for the audit log: nothing else of it is logged."""

from typing import Any

from gateway.errors import BadInput
from gateway.observability.audit import Targets
from resolvers import global_ids
from resolvers.global_ids import Kind
from resolvers.inputs.filters import given
from resolvers.inputs.mutation_inputs import CustomerAttributesUpdateInput, CustomerSegmentsInput


def targets(value: Any) -> Targets:
    """Return the ids in an input, except malformed ones."""
    result = Targets()
    _note(result, value)
    for name in ("segments", "assignments", "customers"):
        for row in _list(value, name):
            if not isinstance(row, str):
                _note(result, row)
    return result


def destinations(value: Any) -> frozenset[str]:
    """Return the keys of the providers that an input writes to, except from malformed ids.

    Only a bulk mutation of global ids can have several.
    """
    provider = getattr(value, "provider", None)
    if provider:
        return frozenset({provider})
    names = ("id", "segment_id", "customer_id", "link_id")
    single = next((text for name in names if (text := given(getattr(value, name, None)))), None)
    result = Targets()
    for text in [single] if single else [*_list(value, "ids"), *_list(value, "customer_ids")]:
        _note_id(result, text)
    if single is None and (identity := given(getattr(value, "identity", None))):
        result.providers[identity.provider] = None
    return frozenset(result.providers)


def _note(result: Targets, value: Any) -> None:
    """Add the ids of an input, or of one row of a bulk mutation."""
    for name in ("id", "segment_id", "customer_id", "link_id"):
        _note_id(result, given(getattr(value, name, None)))
    for name in ("ids", "segment_ids", "customer_ids", "customers"):
        for text in _list(value, name):
            _note_id(result, text)
    _note_own_ids(result, value)


def _note_own_ids(result: Targets, value: Any) -> None:
    """Add the providers' own ids."""
    if provider := getattr(value, "provider", None):
        result.providers[provider] = None
    if external_id := given(getattr(value, "external_id", None)):
        of_customer = isinstance(value, CustomerSegmentsInput)
        (result.customers if of_customer else result.segments)[external_id] = None
    if identity := given(getattr(value, "identity", None)):
        result.customers[identity.external_id] = None
        if isinstance(value, CustomerAttributesUpdateInput):
            result.providers[identity.provider] = None
    result.customers.update(dict.fromkeys(_list(value, "customer_external_ids")))
    if isinstance(value, CustomerSegmentsInput):
        pairs = (f"{tag.type}:{tag.value}" for tag in _list(value, "segments"))
        result.segments.update(dict.fromkeys(pairs))


def _note_id(result: Targets, text: Any) -> None:
    if not isinstance(text, str):
        return
    try:
        kind, (provider, *keys) = global_ids.read(text)
    except BadInput:
        return
    result.providers[provider] = None
    if kind is Kind.LINK:
        result.providers[keys[1]] = None
        result.customers.update(dict.fromkeys((keys[0], keys[2])))
    if kind in {Kind.SEGMENT, Kind.ASSIGNMENT}:
        result.segments[keys[0]] = None
    if kind in {Kind.CUSTOMER, Kind.ASSIGNMENT}:
        result.customers[keys[1 if kind is Kind.ASSIGNMENT else 0]] = None


def _list(value: Any, name: str) -> list[Any]:
    return given(getattr(value, name, None)) or []
