"""What links the example people: the merchant's own key, and for most an email address."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

RULES: Sequence[Mapping[str, Any]] = (
    {
        "name": "crm",
        "keys": [
            "stuut:remote_id",
            "voucherify:source_id",
            "instaleap:document_id",
            "emporix:attributes.loyalty.crmId",
        ],
    },
    {
        "name": "email",
        "keys": ["voucherify:email", "emporix:email"],
        "normalize": "email",
        "auto": False,
    },
)
"""The `[[identity.rules]]` of a server without a configuration."""


def rules_as_toml() -> str:
    """Return the same rules as a part of a configuration file."""
    tables = [
        "\n".join(["[[identity.rules]]", *(f"{name} = {json.dumps(rule[name])}" for name in rule)])
        for rule in RULES
    ]
    return "\n\n".join(tables) + "\n"
