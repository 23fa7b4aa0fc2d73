"""JSON as JavaScript's `JSON.stringify` writes it, with sorted keys and without whitespace."""

import json
import math
from typing import Any, Final

DECIMAL_UP_TO: Final = 21
"""`Number::toString` (ECMA-262) writes larger powers of ten with an exponent."""
DECIMAL_FROM: Final = -6


def canonical(body: bytes) -> bytes:
    """Return the canonical form of a JSON text. Raises `ValueError` for what has none."""
    try:
        value = json.loads(body, parse_int=float, parse_constant=_refuse)
        return _text(value).encode()
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        # By UTF-16 code units, as JavaScript compares strings.
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    text = json.dumps(value, ensure_ascii=False)
    if text.isascii():
        return text
    # `JSON.stringify` escapes halves of surrogate pairs.
    return text.encode("utf-8", "backslashreplace").decode()


def _number(value: float) -> str:
    """Write a number: the shortest digits that read back as the same double, as `repr` does."""
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if whole == "0":
        whole = ""
    fraction = fraction.rstrip("0")
    point = len(whole) + int(exponent or 0)
    stripped = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(stripped)
    digits = stripped.rstrip("0")
    if len(digits) <= point <= DECIMAL_UP_TO:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= DECIMAL_UP_TO:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if DECIMAL_FROM < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
