"""The people and companies of the example data, under each provider's own keys.

The n-th person is the same in every run and on every machine: names, places and dates follow from
n alone. Who is known where follows from n too, so that some are known everywhere and some once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

GIVEN = [
    "Ana",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Femi",
    "Greta",
    "Hiro",
    "Inés",
    "Jonas",
    "Kavya",
    "Lars",
    "Mina",
    "Noor",
    "Olga",
    "Pablo",
    "Quinn",
    "Rosa",
    "Sven",
    "Thandi",
    "Ulla",
    "Viktor",
    "Wanda",
    "Xavier",
    "Yara",
    "Zofia",
    "Amir",
    "Beata",
    "Carlos",
    "Dana",
    "Emil",
    "Freya",
]
FAMILY = [
    "Almeida",
    "Berg",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "García",
    "Haddad",
    "Ivanov",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quiroga",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Urban",
    "Vega",
    "Weber",
    "Ximénez",
    "Yilmaz",
    "Zimmermann",
]
# (country code, country name, city), weighted by repetition.
PLACES = (
    ("DE", "Germany", "Berlin"),
    ("DE", "Germany", "Hamburg"),
    ("PL", "Poland", "Kraków"),
    ("AT", "Austria", "Vienna"),
    ("CH", "Switzerland", "Zürich"),
    ("CO", "Colombia", "Bogotá"),
    ("CO", "Colombia", "Medellín"),
    ("MX", "Mexico", "Puebla"),
    ("US", "United States", "Austin"),
    ("US", "United States", "Portland"),
)
INDUSTRIES = ("Industrial", "Medical", "Retail", "Food")
LEGAL_FORMS = {"DE": "GmbH", "AT": "GmbH", "CH": "AG", "PL": "Sp. z o.o.", "US": "Inc."}
EPOCH = datetime(2023, 1, 2, 8, 0, tzinfo=UTC)
CACHED = 2_000
"""People, and their keys: tests make hundreds of sandboxes with the same cast."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person (or, with `company`, a company's buyer) and their keys at the providers."""

    n: int
    given: str
    family: str
    email: str
    phone: str
    country: str
    """ISO 3166 code."""
    country_name: str
    city: str
    birthdate: date
    company: str | None
    industry: str | None
    tier: str
    """Gold, Silver, Bronze, or Basic for none; used by promotion rules."""
    since: datetime

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"

    @property
    def crm_id(self) -> str:
        """The merchant's own key; Voucherify's `source_id` and Stuut's `remote_id`."""
        return f"crm-{self.n:05d}"

    @property
    def voucherify_id(self) -> str | None:
        """`cust_…`, or None when Voucherify does not know this person."""
        return f"cust_{scramble(self.n, 24)}" if self.n % 5 != 4 else None  # noqa: PLR2004

    @property
    def emporix_id(self) -> str | None:
        """Customer number, or None."""
        return f"{90_000_000 + self.n * 37}" if self.n % 3 != 2 else None  # noqa: PLR2004

    @property
    def instaleap_id(self) -> str | None:
        """Document id, or None; that of a company is the merchant's own key."""
        if self.company:
            return self.crm_id if self.n % 8 == 1 else None
        return f"{self.country}-{1_020_000_000 + self.n * 7919}" if self.n % 2 == 0 else None

    @property
    def stuut_id(self) -> str | None:
        """Partner id, or None: only companies owe invoices."""
        return f"ptn_{scramble(self.n, 10)}" if self.company else None


@lru_cache(CACHED)
def scramble(n: int, length: int, alphabet: str = "") -> str:
    """Return a stable, opaque-looking string of letters and digits, different for each n."""
    letters = alphabet or "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    out, x = [], (n + 1) * 0x9E3779B97F4A7C15 % 2**64
    for _ in range(length):
        out.append(letters[x % len(letters)])
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
    return "".join(out)


@lru_cache(CACHED)
def person(n: int) -> Person:
    """Return the n-th person, counted from 0."""
    given = GIVEN[n * 7 % len(GIVEN)]
    family = FAMILY[n * 11 % len(FAMILY)]
    country, country_name, city = PLACES[n * 3 % len(PLACES)]
    is_company = n % 4 == 1
    return Person(
        n=n,
        given=given,
        family=family,
        email=f"{plain(given)}.{plain(family)}.{n}@example.com",
        phone=f"+49 30 {5_550_000 + n:07d}",
        country=country,
        country_name=country_name,
        city=city,
        birthdate=date(1950 + n * 13 % 56, 1 + n * 5 % 12, 1 + n * 17 % 28),
        company=f"{family} {city} {LEGAL_FORMS.get(country, 'S.A.')}" if is_company else None,
        industry=INDUSTRIES[n // 4 % len(INDUSTRIES)] if is_company else None,
        tier=("Gold", "Silver", "Silver", "Bronze", "Bronze", "Basic", "Basic")[n % 7],
        since=EPOCH + timedelta(hours=n * 31 % 26_000, milliseconds=n % 1000),
    )


def plain(name: str) -> str:
    """Return a name as it stands in an email address: lower case, without accents."""
    return name.lower().translate(str.maketrans("áéíóöüñ", "aeiooun"))


def people(count: int) -> Iterator[Person]:
    """Yield the first `count` people."""
    return (person(n) for n in range(count))
