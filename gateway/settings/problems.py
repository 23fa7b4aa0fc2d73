"""Say what is wrong with a setting, and what was probably meant."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gateway.errors import Problem

TEXTS = {
    "missing": "is missing",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "model_type": "must be a table",
}
"""Plain texts for pydantic's error types; other errors keep pydantic's message."""

LARGE = {"less_than", "less_than_equal"}
"""Errors of times that were probably meant in milliseconds."""

PATTERNS = {
    "key": "must begin with a letter or digit, and have up to 64 letters, digits, '.', '_', '-'",
    "name": "must have 1 to 64 letters, digits, '.', '_', '-'",
    "keys": "must be a provider's key and a key of its customers, like loyalty:source_id",
    "base_url": "must be an http or https URL without user, query and fragment, or 'sandbox:'",
    "url": "must begin with sqlite:// or postgresql://",
    "proxy": "must be the URL of an HTTP proxy, like http://proxy.test:3128",
    "hosts": "must be a host name or an IP address, without scheme, port and path",
    "cors_origins": "must be scheme and host, like https://shop.example, without a path",
    "cors_allow_headers": "must be the name of a header",
    "endpoint": "must be an http or https URL without user, query and fragment",
    "headers": "must be the name of a header",
    "jwks_url": "must be an http or https URL without user and fragment",
}
"""What the patterns of these settings allow."""


def problems_of(
    error: ValidationError,
    path: str,
    form: type[BaseModel],
    tables: Mapping[str, type[BaseModel]],
) -> Iterator[Problem]:
    """Yield the problems with a table of this form; `tables` are all others, by name."""
    errors = error.errors(include_input=False, include_url=False, include_context=False)
    for each in errors:
        loc = each["loc"]
        if each["type"] == "too_short" and any(loc == other["loc"][:-1] for other in errors):
            continue  # it has something, with a problem of its own
        at = path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in loc)
        message = each["msg"].removeprefix("Value error, ")
        text = TEXTS.get(each["type"], message[:1].lower() + message[1:])
        if each["type"] == "extra_forbidden":
            name, names = str(loc[-1]), _names(form, loc[:-1])
            home, similar = home_of(name, tables), did_you_mean(name, names)
            # A table of a provider or key has few settings in common with the others.
            hint = home or similar if form in tables.values() else similar or home
            text = f"is not a known setting{hint}"
        elif each["type"] == "string_pattern_mismatch":
            name = next((str(p) for p in reversed(loc) if not isinstance(p, int)), "")
            text = PATTERNS.get(name, text)
        elif each["type"] in LARGE and str(loc[-1]).endswith("_s"):
            text += " seconds"
        yield Problem(at, text)


def did_you_mean(name: str, names: Collection[str], form: str = "{}") -> str:
    """Return `; did you mean NAME?` for the most similar name; empty: none is similar."""
    similar = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {form.format(similar[0])}?" if similar else ""


def home_of(name: str, tables: Mapping[str, type[BaseModel]]) -> str:
    """Return `; it belongs into [TABLE]` for a setting of another table; empty: of none."""
    homes = [table for table, form in tables.items() if name in form.model_fields]
    return f"; it belongs into [{homes[0]}]" if homes else ""


def _names(form: type[BaseModel], loc: Sequence[int | str]) -> Collection[str]:
    """Return the names of the settings of the table at a place inside a form."""
    model: type[BaseModel] | None = form
    for part in loc:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = None if field is None else _model_in(field.annotation)
    return () if model is None else [*model.model_fields]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(each) for each in get_args(annotation))
    return next((each for each in found if each is not None), None)
