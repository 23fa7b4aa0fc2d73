"""Links between customers: nothing personal is in the store, the log, metrics or errors."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.identity.settings import IdentitySettings
from gateway.sandbox.people import Person, person
from tests.e2e.failures import answering
from tests.e2e.persons.asking import CRM, EMAIL, at, link_id
from tests.e2e.serving import Front, Providers, customer_id, settings_with
from tests.e2e.writes.asking import document
from tests.e2e.writes.serving import serving
from tests.security.logged import logged
from tests.security.test_metrics import scraped
from tests.security.test_privacy import PERSON, PHONE, PRIVATE, WORDS

ZOE, ANA = (
    replace(person(1), email=PERSON, phone=PHONE, given="Zoe", family="Quill"),
    replace(person(0), phone=PHONE),
)
RULES: Mapping[str, Any] = {
    "rules": [
        CRM,
        {**EMAIL, "auto": True},
        {
            "name": "phone",
            "keys": ["voucherify:phone", "emporix:phone"],
            "normalize": "phone",
            "auto": False,
        },
    ]
}
DIGITS = "491705550123"
PERSONAL = (*PRIVATE, DIGITS)


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Providers:
    """Return providers that know her."""

    def cast(count: int) -> Iterable[Person]:
        return ({ZOE.n: ZOE, ANA.n: ANA}.get(n, person(n)) for n in range(count))

    monkeypatch.setattr("gateway.sandbox.app.people", cast)
    return Providers()


@pytest.fixture
async def front(providers: Providers, tmp_path: Path) -> AsyncIterator[Front]:
    """Return the front door of a gateway whose rules compare personal values."""
    settings = settings_with().model_copy(
        update={"identity": IdentitySettings.model_validate(RULES)}
    )
    async with serving(providers, f"sqlite:///{tmp_path / 'store' / 'gateway.db'}", settings) as f:
        yield f


HERS = [at(ZOE, "voucherify"), at(ZOE, "emporix")]
WRONG = [PERSON, customer_id("emporix", PERSON), HERS[0]]
LINK = link_id(ZOE, "emporix", ZOE, "voucherify")
OTHER = link_id(ANA, "emporix", ZOE, "voucherify")
MUTATIONS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("customersUnlink", {"linkId": LINK}),
    ("customersLink", {"customerIds": HERS}),
    ("identityLinkDecide", {"linkId": OTHER, "accept": True}),
    ("customersUnlink", {"customerIds": HERS[:1]}),
)
REFUSED: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("customersLink", {"customerIds": WRONG}),
    ("customersLink", {"customerIds": WRONG[1:]}),
    ("customersUnlink", {"customerIds": WRONG[1:]}),
    ("customersUnlink", {"linkId": PERSON}),
    ("identityLinkDecide", {"linkId": PERSON, "accept": True}),
    ("identityLinkDecide", {"linkId": link_id(ANA, "emporix", ANA, "emporix"), "accept": True}),
)


async def test_links_by_personal_values(front: Front, tmp_path: Path) -> None:
    """Neither e-mail address nor phone number nor name: what is compared are digests."""
    with logged() as log:
        for argument in (f'email: "{PERSON}"', f'id: "{HERS[0]}"', f'id: "{at(ANA, "emporix")}"'):
            data = await front.data(f"{{ person({argument}) {{ customers {{ id }} }} }}")
            assert data["person"] is not None
        for number, (field, given) in enumerate(MUTATIONS):
            body = await front.ask(
                document(field), {"m0": {**given, "idempotencyKey": f"{PERSON} {number}"}}
            )
            assert body["data"]["m0"]["userErrors"] == [], field
        answers = [
            str(await front.ask(document(field), {"m0": dict(given)})) for field, given in REFUSED
        ]
        answers.append(str(await front.ask(f'{{ person(id: "{PERSON}") {{ id }} }}')))
        front.providers.instead.update(
            dict.fromkeys(("voucherify", "emporix"), answering(500, WORDS))
        )
        for field, given in (*MUTATIONS, *REFUSED):
            answers.append(str(await front.ask(document(field), {"m0": dict(given)})))
        metrics = (await scraped(front)).text
    assert [line["operation"] for line in log.of("audit")][: len(MUTATIONS)] == [
        field for field, _ in MUTATIONS
    ]
    assert [each for each in PERSONAL if each in log.text] == []
    assert [each for each in PERSONAL if each in metrics] == []
    for answer in answers:
        assert [each for each in PERSONAL if each in answer] == []
    files = [each for each in (tmp_path / "store").rglob("*") if each.is_file()]
    stored = b"".join(each.read_bytes() for each in files).lower()
    assert b"mail" in stored  # the rules' names are
    assert [each for each in PERSONAL if each.lower().encode() in stored] == []
