"""The cast as customers of Emporix."""

from functools import lru_cache
from hashlib import blake2s

from gateway.sandbox.emporix.bodies import stamp
from gateway.sandbox.emporix.listing import Row
from gateway.sandbox.people import Person

LOCALES = {
    "DE": ("de_DE", "EUR"),
    "AT": ("de_AT", "EUR"),
    "CH": ("de_CH", "CHF"),
    "PL": ("pl_PL", "PLN"),
    "CO": ("es_CO", "COP"),
    "MX": ("es_MX", "MXN"),
}


@lru_cache(maxsize=4096)
def stable_id(name: str) -> str:
    """Return the same 24 hex digits for the same name, like the service's own ids."""
    return blake2s(name.encode(), digest_size=12).hexdigest()


def customer(person: Person, number: str) -> Row:
    """Return a person as a customer, including what only `expand` shows."""
    language, currency = LOCALES.get(person.country, ("en_US", "USD"))
    row: Row = {"id": number, "customerNumber": number}
    if person.n % 29 == 0:
        row["title"] = "DR"
    row |= {
        "firstName": person.given,
        "lastName": person.family,
        "contactEmail": person.email,
        "contactPhone": person.phone,
        "preferredLanguage": language,
        "preferredCurrency": currency,
        "preferredSite": "outlet" if person.n % 11 == 0 else "main",
        "active": (person.n + 1) % 37 != 0,
        "onHold": (person.n + 1) % 41 == 0,
        "businessModel": "B2B" if person.company else "B2C",
    }
    if person.company:
        row["company"] = person.company
        row["b2b"] = {
            "companyRegistrationId": f"HR-{100_000 + person.n}",
            "legalEntities": _legal_entities(person, person.company),
        }
    address = {
        "id": f"addr-{number}",
        "contactName": person.name,
        "city": person.city,
        "country": person.country,
        "contactPhone": person.phone,
        "isDefault": True,
    }
    row |= {
        "defaultAddress": address,
        "addresses": [address],
        "accounts": [{"id": person.email, "providerId": "emporix"}],
        "mixins": {"loyalty": {"tier": person.tier, "crmId": person.crm_id}},
        "metadata": {
            "version": 1 + person.n % 3,
            "mixins": {"loyalty": "https://example.com/schemas/customer-loyalty.v1.json"},
        },
        "metadataCreatedAt": stamp(person.since),
    }
    return row


def _legal_entities(person: Person, company: str) -> list[Row]:
    """Return the company, and for some buyers a second one."""
    names = (
        [company, f"{person.family} Logistics {person.city}"] if person.n % 24 == 1 else [company]
    )
    return [
        {
            "id": stable_id(name),
            "name": name,
            "contactAssignmentId": stable_id(f"{name} {person.n}"),
        }
        for name in names
    ]
