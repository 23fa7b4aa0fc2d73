"""Checks with FastAPI's responses: all problems of a body at once, in a 422."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from gateway.sandbox.replies import read_json

Location = tuple[str | int, ...]
Problem = dict[str, Any]


class RefusalError(Exception):
    """An error response: its status and its `detail`, a text or the list of problems."""

    def __init__(self, status: int, detail: str | list[Problem]) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail


def problem(loc: Location, msg: str, type_: str) -> Problem:
    """Return one entry of a 422: location, message and type."""
    return {"loc": list(loc), "msg": msg, "type": type_}


def refuse_all(problems: list[Problem]) -> None:
    """Refuse when there is any problem."""
    if problems:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, problems)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body."""
    try:
        body = await read_json(request)
    except ValueError:
        invalid = problem(("body", 0), "JSON decode error", "json_invalid")
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, [invalid]) from None
    if not isinstance(body, dict):
        msg = "Input should be a valid dictionary or object to extract fields from"
        refuse_all([problem(("body",), msg, "model_attributes_type")])
    return dict(body)


def check_text(value: object, loc: Location, shortest: int, longest: int) -> list[Problem]:
    """Check a text and its length in characters."""
    if not isinstance(value, str):
        return [problem(loc, "Input should be a valid string", "string_type")]
    if len(value) < shortest:
        msg = f"String should have at least {shortest} character"
        return [problem(loc, msg, "string_too_short")]
    if len(value) > longest:
        msg = f"String should have at most {longest} characters"
        return [problem(loc, msg, "string_too_long")]
    return []


def check_whole(value: object, loc: Location, lowest: int) -> list[Problem]:
    """Check an integer and its lower bound."""
    if not isinstance(value, int) or isinstance(value, bool):
        return [problem(loc, "Input should be a valid integer", "int_type")]
    if value < lowest:
        msg = f"Input should be greater than or equal to {lowest}"
        return [problem(loc, msg, "greater_than_equal")]
    return []


def check_texts(value: object, loc: Location) -> list[Problem]:
    """Check a list of texts."""
    if not isinstance(value, list):
        return [problem(loc, "Input should be a valid list", "list_type")]
    return [
        problem((*loc, place), "Input should be a valid string", "string_type")
        for place, item in enumerate(value)
        if not isinstance(item, str)
    ]


def missing(body: Mapping[str, Any], names: Collection[str]) -> list[Problem]:
    """Report the required fields a body lacks."""
    return [
        problem(("body", name), "Field required", "missing") for name in names if name not in body
    ]


def whole(
    query: QueryParams, name: str, default: int, lowest: int, highest: int | None = None
) -> int:
    """Read a number of the query, between bounds."""
    loc = ("query", name)
    try:
        number = int(query.get(name, str(default)))
    except ValueError:
        msg = "Input should be a valid integer, unable to parse string as an integer"
        wrong = [problem(loc, msg, "int_parsing")]
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, wrong) from None
    refuse_all(check_whole(number, loc, lowest))
    if highest is not None and number > highest:
        msg = f"Input should be less than or equal to {highest}"
        refuse_all([problem(loc, msg, "less_than_equal")])
    return number


def choice(query: QueryParams, name: str, default: str, allowed: Collection[str]) -> str:
    """Read one of the allowed words of the query."""
    text = query.get(name, default)
    if text not in allowed:
        *most, last = (f"'{word}'" for word in allowed)
        msg = f"Input should be {', '.join(most)} or {last}"
        refuse_all([problem(("query", name), msg, "literal_error")])
    return text
