"""How values are compared."""

import pytest

from gateway.identity.normalizing import EMAIL, EXACT, Form, Normalization, normalized

PHONE, DIGITS = Form(Normalization.PHONE), Form(Normalization.DIGITS)
GERMAN = Form(Normalization.PHONE, "DE")


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        (EXACT, " crm-1", " crm-1"),
        (EXACT, "CRM-1", "CRM-1"),
        (EXACT, "e\u0301", "\u00e9"),
        (EXACT, " \t", None),
        (EMAIL, " Ana@Example.COM\n", "ana@example.com"),
        (EMAIL, "а@example.com", "а@example.com"),  # a Cyrillic letter stays one
        (EMAIL, "", None),
        (PHONE, "+49 (0) 30 / 1", None),
        (PHONE, "+49 (0)30 555-00.01", "+49305550001"),
        (PHONE, "0049 30 5550001", "+49305550001"),
        (PHONE, "030 5550001", None),
        (PHONE, "+0", None),
        (PHONE, "anonymous", None),
        (GERMAN, "030 5550001", "+49305550001"),
        (GERMAN, "+43 1 5550001", "+4315550001"),
        (GERMAN, "x", None),
        (DIGITS, "DE 12-345", "12345"),
        (DIGITS, "1234", None),
        (DIGITS, "١٢٣٤٥", None),  # digits of another script are no digits here
    ],
    ids=str,
)
def test_normalized(form: Form, value: str, expected: str | None) -> None:
    """A value is compared in its normal form, and not at all without one."""
    assert normalized(form, value) == expected


def test_forms_have_names_of_their_own() -> None:
    """Equal texts of different forms are different values."""
    assert [each.name for each in (EXACT, EMAIL, PHONE, GERMAN, DIGITS)] == [
        "exact",
        "email",
        "phone",
        "phone:DE",
        "digits",
    ]
