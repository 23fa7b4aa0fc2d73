"""A gateway whose rules link the sandbox's people, and short ways to ask it about persons."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from gateway.domain.entities import Ref
from gateway.identity.graph import pair_of
from gateway.identity.settings import IdentitySettings
from gateway.sandbox.people import Person, person
from gateway.settings.tables import StoreSettings
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.e2e.serving import Front, Providers, customer_id, settings_with
from tests.security.callers import guarded

CRM = {
    "name": "crm",
    "keys": [
        "voucherify:source_id",
        "emporix:attributes.loyalty.crmId",
        "instaleap:document_id",
        "stuut:remote_id",
    ],
}
EMAIL = {
    "name": "email",
    "keys": ["voucherify:email", "emporix:email"],
    "normalize": "email",
    "auto": False,
}
RULES: Mapping[str, Any] = {"rules": [CRM, EMAIL]}

HIRO = person(1)
"""At Stuut, Voucherify and Emporix."""
ANA = person(0)
"""At Voucherify and Emporix."""
CHLOE = person(6)
"""At Voucherify and Emporix."""

IDS = "{ customers { id } }"
SOURCES = "sources { provider { key } origin totalCount error { code } }"


@contextlib.asynccontextmanager
async def linking(
    url: str, rules: Mapping[str, Any] = RULES, providers: Providers | None = None
) -> AsyncIterator[Front]:
    """Serve a gateway with these rules and a store at this URL; callers are described."""
    changes = {
        "identity": IdentitySettings.model_validate(rules),
        "store": StoreSettings(url=url),
    }
    async with guarded(providers, settings_with().model_copy(update=changes)) as front:
        yield front


def at(one: Person, provider: str) -> str:
    """Return the global id of a person's customer at a provider."""
    key = getattr(one, f"{provider}_id")
    assert key, f"{one.name} is not at {provider}"
    return customer_id(provider, key)


def customers(one: Person, *providers: str) -> list[dict[str, str]]:
    """Return the nodes of a person's customers at these providers."""
    return [{"id": at(one, each)} for each in providers]


def person_id(one: Person, provider: str) -> str:
    """Return the id of a person that is made from a customer at a provider."""
    return global_ids.of_ref(Kind.PERSON, Ref(provider, getattr(one, f"{provider}_id")))


def link_id(one: Person, provider: str, other: Person, other_provider: str) -> str:
    """Return the id of the link between two customers."""
    ends = (
        Ref(provider, getattr(one, f"{provider}_id")),
        Ref(other_provider, getattr(other, f"{other_provider}_id")),
    )
    return global_ids.of_pair(pair_of(*ends))


def source(
    provider: str, origin: str | None, total: int, code: str | None = None
) -> dict[str, Any]:
    """Return a row of sources."""
    return {
        "provider": {"key": provider},
        "origin": origin,
        "totalCount": total,
        "error": code and {"code": code},
    }


def identity(one: Person) -> str:
    """Return the argument that names a person by their key at Voucherify."""
    return f'identity: {{ provider: "voucherify", externalId: "{one.crm_id}" }}'


async def do(front: Front, field: str, given: Mapping[str, Any], selection: str = "") -> Any:
    """Return the payload of a mutation; its user errors as (field, code)."""
    kind = f"{field[0].upper()}{field[1:]}Input"
    text = f"mutation($i: {kind}!) {{ m: {field}(input: $i) {{ {selection} {ERRORS} }} }}"
    payload = (await front.data(text, {"i": given}))["m"]
    payload["userErrors"] = [
        (".".join(each["field"] or ()), each["code"]) for each in payload["userErrors"]
    ]
    return payload


ERRORS = "userErrors { field code }"


PAGE = """query($after: String) {
    customers(first: 250, after: $after) {
        pageInfo { hasNextPage endCursor } sources { error { code } }
    }
}"""


async def read_everyone(front: Front, caller: str | None = None) -> None:
    """Read all customers that a caller may see: then they are in the index."""
    after = None
    headers = {} if caller is None else {"authorization": caller}
    while True:
        shown = (await front.data(PAGE, {"after": after}, **headers))["customers"]
        assert all(each["error"] is None for each in shown["sources"])
        page = shown["pageInfo"]
        if not page["hasNextPage"]:
            break
        after = page["endCursor"]
    front.forget()
