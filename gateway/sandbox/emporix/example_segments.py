"""The example segments and the rule that decides their members."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.sandbox.people import Person

Frame = Mapping[str, str]
THIS_DECADE: Frame = {"from": "2025-01-01T00:00:00.000Z", "to": "2034-12-31T23:59:59.000Z"}
YEAR_2026: Frame = {"from": "2026-01-01T00:00:00.000Z", "to": "2026-12-31T23:59:59.000Z"}
SUMMER_2025: Frame = {"from": "2025-06-01T00:00:00.000Z", "to": "2025-08-31T23:59:59.000Z"}
FROM_2035: Frame = {"from": "2035-03-01T00:00:00.000Z"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSegment:
    """A segment of the example data; an empty id means a generated one."""

    id: str = ""
    name: Mapping[str, str]
    description: Mapping[str, str] = field(default_factory=dict)
    site: str = "main"
    status: str = "ACTIVE"
    validity: Frame | None = None
    mixins: Mapping[str, Any] = field(default_factory=dict)
    has: Callable[[Person], bool]
    """Whether a person is a member."""
    limit: int = 60
    """The largest number of assignments."""
    is_b2b: bool = False
    """Whether members are assigned through their legal entities."""
    is_automatic: bool = False
    items: tuple[str, ...] = ()
    version: int = 1


def _nobody(_: Person) -> bool:
    return False


SEGMENTS = (
    ExampleSegment(
        id="golden",
        name={
            "en": "Golden customers",
            "de": "Goldkunden",
            "pl": "Złoci klienci",
            "es": "Clientes oro",
        },
        description={
            "en": "The highest tier of the loyalty programme",
            "de": "Die höchste Stufe des Treueprogramms",
        },
        validity=THIS_DECADE,
        mixins={"loyalty": {"level": "GOLD", "discountPercent": 10}},
        has=lambda one: one.tier == "Gold",
        items=("p1003", "p1004", "cat-espresso"),
        version=4,
    ),
    ExampleSegment(
        id="vip-2026",
        name={"en": "VIP 2026", "de": "VIP 2026"},
        description={"en": "Invited to previews in 2026"},
        validity=YEAR_2026,
        has=lambda one: one.tier == "Gold" and one.n % 4 == 0,
        limit=12,
        items=("cat-garden",),
        version=2,
    ),
    ExampleSegment(
        id="b2b-partners",
        name={"en": "B2B partners", "de": "B2B-Partner", "pl": "Partnerzy B2B"},
        description={"en": "Companies with agreed prices", "de": "Firmen mit Sonderpreisen"},
        mixins={"pricing": {"priceList": "B2B-A", "netDays": 30}},
        has=lambda one: one.company is not None,
        limit=40,
        is_b2b=True,
        items=("cat-workshop",),
        version=3,
    ),
    ExampleSegment(
        name={"en": "Silver circle", "de": "Silberkreis", "pl": "Srebrny krąg"},
        description={"en": "The second tier of the loyalty programme"},
        validity=THIS_DECADE,
        mixins={"loyalty": {"level": "SILVER", "discountPercent": 5}},
        has=lambda one: one.tier == "Silver",
        items=("p1001", "p1005"),
    ),
    ExampleSegment(
        name={"en": "Bronze starters", "de": "Bronze-Einsteiger"},
        description={"en": "The first tier", "de": "Die erste Stufe"},
        has=lambda one: one.tier == "Bronze",
        limit=55,
    ),
    ExampleSegment(
        name={"en": "Newsletter readers", "de": "Newsletter-Leser", "es": "Lectores del boletín"},
        site="outlet",
        has=lambda one: one.n % 5 == 0,
        limit=35,
        items=("p1012",),
    ),
    ExampleSegment(
        name={"en": "Summer sale 2025", "de": "Sommerschlussverkauf 2025"},
        description={"en": "Buyers of last year's clearance"},
        site="outlet",
        validity=SUMMER_2025,
        has=lambda one: one.n % 7 in {2, 5},
        limit=20,
        items=("p1012", "p1013"),
        version=2,
    ),
    ExampleSegment(
        name={"en": "Spring preview 2035", "de": "Frühlingsvorschau 2035"},
        validity=FROM_2035,
        has=lambda one: (one.n - 3) % 17 == 0,
        limit=10,
        items=("cat-tea",),
    ),
    ExampleSegment(
        name={"en": "Dormant accounts", "de": "Ruhende Konten"},
        description={"en": "No order in twelve months", "de": "Seit zwölf Monaten ohne Auftrag"},
        status="INACTIVE",
        has=lambda one: one.tier == "Basic" and one.n % 2 == 0,
        limit=25,
    ),
    ExampleSegment(
        name={"en": "German-speaking shoppers", "de": "Deutschsprachige Kundschaft"},
        has=lambda one: one.country in {"DE", "AT", "CH"} and one.company is None,
        limit=45,
        items=("cat-coffee",),
    ),
    ExampleSegment(
        name={"es": "América Latina", "en": "Latin America"},
        description={"es": "Clientes de Colombia y México"},
        has=lambda one: one.country in {"CO", "MX"},
        limit=30,
    ),
    ExampleSegment(
        id="staff",
        name={"en": "Staff discount", "de": "Personalrabatt"},
        site="outlet",
        status="INACTIVE",
        has=_nobody,
    ),
    ExampleSegment(
        name={"en": "Medical professionals", "de": "Medizinische Fachkreise"},
        description={"en": "May order regulated goods"},
        has=lambda one: one.industry == "Medical",
        limit=18,
        is_b2b=True,
        items=("p1010", "p1011"),
    ),
    ExampleSegment(
        name={"en": "Outlet regulars", "de": "Outlet-Stammkunden"},
        description={"en": "Kept by the shop itself"},
        site="outlet",
        has=lambda one: one.n % 11 == 0,
        limit=15,
        is_automatic=True,
        items=("p1014",),
    ),
    ExampleSegment(
        name={"en": "Food trade", "de": "Lebensmittelhandel"},
        status="INACTIVE",
        validity=SUMMER_2025,
        has=lambda one: one.industry == "Food",
        limit=9,
        is_b2b=True,
    ),
    ExampleSegment(name={"en": "Birthday club"}, validity=THIS_DECADE, has=_nobody),
)
