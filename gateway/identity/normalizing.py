"""Normalize the values by which customers are compared.

Texts are in NFC. Look-alike characters stay different: an attacker could register one of them.
"""

import re
import unicodedata
from enum import Enum
from typing import Final, NamedTuple

_SEPARATORS: Final = re.compile(r"[\s.()\-\u2010-\u2015]+")
_TRUNK_ZERO: Final = re.compile(r"\(\s*0\s*\)")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}")
"""A number in E.164: a country code and at most 15 digits in all."""
FEWEST_DIGITS: Final = 5


class Normalization(Enum):
    """How a value is compared."""

    EXACT = "exact"
    EMAIL = "email"
    PHONE = "phone"
    DIGITS = "digits"


class Form(NamedTuple):
    """A normalization; for phone numbers also the region of numbers without a country code."""

    normalization: Normalization
    region: str | None = None
    """An ISO 3166 code, such as `DE`."""

    @property
    def name(self) -> str:
        """Identify the form: values of different forms are never equal."""
        name = self.normalization.value
        return name if self.region is None else f"{name}:{self.region}"


EXACT: Final = Form(Normalization.EXACT)
EMAIL: Final = Form(Normalization.EMAIL)


def normalized(form: Form, value: str) -> str | None:
    """Return the value as it is compared; None if it is blank or has not this form."""
    text = unicodedata.normalize("NFC", value)
    if not text.strip():
        return None
    match form.normalization:
        case Normalization.EXACT:
            return text
        case Normalization.EMAIL:
            return text.strip().lower()
        case Normalization.PHONE:
            return _phone(text, form.region)
        case Normalization.DIGITS:
            digits = "".join(each for each in text if each in "0123456789")
            return digits if len(digits) >= FEWEST_DIGITS else None


def _phone(text: str, region: str | None) -> str | None:
    """Return a number in E.164; None if it has no country code and there is no region."""
    number = _SEPARATORS.sub("", _TRUNK_ZERO.sub("", text, count=1))
    if number.startswith("00"):
        number = f"+{number[2:]}"
    if not number.startswith("+") and region is not None:
        return _national(number, region)
    return number if _NUMBER.fullmatch(number) else None


def _national(number: str, region: str) -> str | None:
    import phonenumbers  # noqa: PLC0415  # 0.1 s, and only rules with a region need it

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    text: str = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return text if _NUMBER.fullmatch(text) else None


def is_region(code: str) -> bool:
    """Return whether phone numbers of this region can be normalized."""
    import phonenumbers  # noqa: PLC0415  # as above

    return code in phonenumbers.SUPPORTED_REGIONS
