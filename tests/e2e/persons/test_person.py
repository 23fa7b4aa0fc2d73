"""`Query.person`: one person at every provider, with as few calls as possible."""

from typing import Any

import pytest

from gateway.domain.entities import Ref
from gateway.sandbox.people import person
from gateway.store.errors import StoreFailed
from gateway.store.identity_index import IdentityIndex
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.e2e.failures import answering
from tests.e2e.known import HIRO_IN
from tests.e2e.persons.asking import (
    ANA,
    CRM,
    HIRO,
    IDS,
    SOURCES,
    at,
    customers,
    identity,
    linking,
    person_id,
    source,
)
from tests.e2e.serving import Front

EMPORIX_BY_EMAIL = (
    f"GET /customer/sandbox/customers?q=contactEmail:{HIRO.email}"
    "&expand=mixin:*&pageNumber=1&pageSize=51"
)
VOUCHERIFY_BY_EMAIL = f"GET /v1/customers?limit=50&page=1&order=-created_at&email={HIRO.email}"
PARTNERS = "GET /v1/partners?page=0&limit=200"
HIRO_AT = customers(HIRO, "stuut", "voucherify", "emporix")


async def test_by_identity(front: Front) -> None:
    """Each other provider is asked at most once, by its strongest rule of a known value."""
    text = f"{{ person({identity(HIRO)}) {{ customers {{ id name }} {SOURCES} }} }}"
    data = await front.data(text)
    names = {"stuut": None, "voucherify": HIRO.name, "emporix": HIRO.name}
    assert data["person"]["customers"] == [
        {"id": at(HIRO, provider), "name": name} for provider, name in names.items()
    ]
    assert data["person"]["sources"] == [
        source("stuut", "LIVE", 1),
        source("voucherify", "LIVE", 1),
        source("instaleap", "RECORDED", 0),
        source("emporix", "LIVE", 1),
    ]
    assert sorted(front.calls) == [
        EMPORIX_BY_EMAIL,
        f"GET /v1/customers/{HIRO.crm_id}",
        PARTNERS,
    ]
    front.forget()
    assert (await front.data(text))["person"] == {
        "customers": data["person"]["customers"],
        # The list of partners is recent.
        "sources": [source("stuut", "RECORDED", 1), *data["person"]["sources"][1:]],
    }
    assert sorted(front.calls) == [EMPORIX_BY_EMAIL, f"GET /v1/customers/{HIRO.crm_id}"]


async def test_by_identity_of_each_provider(front: Front) -> None:
    """The person is the same, whichever of its customers is named; so is a person's own id."""
    for provider, calls in (
        ("emporix", {"emporix": 1, "voucherify": 1, "stuut": 1}),
        ("stuut", {"stuut": 1, "voucherify": 1}),
        ("voucherify", {"emporix": 1, "voucherify": 1}),
    ):
        key = getattr(HIRO, f"{provider}_id")
        text = f'{{ person(identity: {{ provider: "{provider}", externalId: "{key}" }}) {IDS} }}'
        assert (await front.data(text))["person"] == {"customers": HIRO_AT}, provider
        assert front.counts == calls, provider
        front.forget()
    first = (await front.data(f"{{ person({identity(HIRO)}) {{ id }} }}"))["person"]["id"]
    assert first == person_id(HIRO, "emporix")
    for provider in ("stuut", "voucherify", "emporix"):
        of = person_id(HIRO, provider)
        for wanted in (of, at(HIRO, provider)):
            data = await front.data(f'{{ person(id: "{wanted}") {{ id customers {{ id }} }} }}')
            assert data["person"] == {"id": first, "customers": HIRO_AT}
        data = await front.data(
            f'{{ node(id: "{of}") {{ id ... on Person {IDS} }} nodes(ids: ["{of}"]) {{ id }} }}'
        )
        assert data == {"node": {"id": first, "customers": HIRO_AT}, "nodes": [{"id": first}]}


async def test_by_email(front: Front) -> None:
    """At most two rounds: by address, then those without a customer yet, by the keys found."""
    text = f'{{ person(email: "{HIRO.email}") {{ customers {{ id }} {SOURCES} }} }}'
    assert (await front.data(text))["person"] == {
        "customers": HIRO_AT,
        "sources": [
            source("stuut", "LIVE", 1),
            source("voucherify", "LIVE", 1),
            source("instaleap", "RECORDED", 0),
            source("emporix", "LIVE", 1),
        ],
    }
    assert sorted(front.calls[:2]) == [EMPORIX_BY_EMAIL, VOUCHERIFY_BY_EMAIL]
    assert front.calls[2:] == [PARTNERS]
    front.forget()
    # Another spelling is found by the index; providers are asked for it without the spaces.
    spelt = f" {HIRO.email.upper()} "
    text = """query ($e: String) { person(email: $e) {
        customers { id } sources { error { code } } } }"""
    data = await front.data(text, {"e": spelt})
    assert data["person"] == {"customers": HIRO_AT, "sources": [{"error": None}] * 4}
    assert front.counts.keys() <= {"voucherify", "emporix"}
    assert all(count == 1 for count in front.counts.values())


async def test_nobody(front: Front) -> None:
    """Null without an error, for an address and a key that nobody has."""
    text = """{
        a: person(email: "nobody@example.com") { id }
        b: person(identity: { provider: "voucherify", externalId: "none" }) { id }
        c: person(id: "%s") { id }
        d: person(id: "%s") { id }
        node(id: "%s") { id }
    }"""
    nobody, elsewhere = (
        global_ids.of_ref(Kind.PERSON, Ref(provider, "none")) for provider in ("emporix", "gone")
    )
    assert await front.data(text % (nobody, elsewhere, nobody)) == dict.fromkeys(
        ["a", "b", "c", "d", "node"]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "Give exactly one of id, identity and email."),
        ('id: "x", email: "y"', "Give exactly one of id, identity and email."),
        ('email: " "', "email is blank."),
        ('email: ""', "email is blank."),
        (
            'identity: { provider: "no", externalId: "1" }',
            "identity.provider: no provider has the key 'no'.",
        ),
        ('identity: { provider: "stuut", externalId: "" }', "identity.externalId is empty."),
        ('id: "x"', "id is not an id of this gateway."),
        (
            'id: "WyJzIiwiZW1wb3JpeCIsImdvbGRlbiJd"',
            "id is not the id of a person or a customer.",
        ),
    ],
)
async def test_refused(front: Front, arguments: str, message: str) -> None:
    """Exactly one way to name a person; nothing is sent otherwise."""
    call = f"person({arguments})" if arguments else "person"
    answer = await front.ask(f"{{ {call} {{ id }} }}")
    assert answer["data"] == {"person": None}
    assert [(each["message"], each["extensions"]["code"]) for each in answer["errors"]] == [
        (message, "BAD_USER_INPUT")
    ]
    assert front.calls == []


async def test_several_persons_with_one_address(url: str) -> None:
    """Without a rule that links them, customers with one address are several persons."""
    async with linking(url, {"rules": []}) as front:
        answer = await front.ask(f'{{ person(email: "{HIRO.email}") {{ id }} }}')
        assert answer["data"] == {"person": None}
        assert [(each["message"], each["extensions"]["code"]) for each in answer["errors"]] == [
            ("Several persons have this email address: ask people.", "BAD_USER_INPUT")
        ]
        data = await front.data(
            f"{{ person({identity(HIRO)}) {{ customers {{ id }} {SOURCES} }} }}"
        )
        assert data["person"] == {
            "customers": customers(HIRO, "voucherify"),
            "sources": [
                source("stuut", None, 0),
                source("voucherify", "LIVE", 1),
                source("instaleap", None, 0),
                source("emporix", None, 0),
            ],
        }


async def test_provider_without_a_lookup(url: str) -> None:
    """A provider that has none by any key of a rule is UNSUPPORTED; the index links it."""
    async with linking(url, {"rules": [CRM]}) as front:
        text = f"{{ person({identity(HIRO)}) {{ customers {{ id }} {SOURCES} }} }}"
        data = (await front.data(text))["person"]
        assert data["customers"] == customers(HIRO, "stuut", "voucherify")
        assert data["sources"][3] == source("emporix", None, 0, "UNSUPPORTED")
        key = HIRO.emporix_id
        await front.data(
            f'{{ customer(identity: {{ provider: "emporix", externalId: "{key}" }}) {{ name }} }}'
        )
        data = (await front.data(text))["person"]
        assert data["customers"] == HIRO_AT
        assert data["sources"][3] == source("emporix", "RECORDED", 1, "UNSUPPORTED")


async def test_provider_that_is_down(front: Front) -> None:
    """Its record is listed from the index; what it must be asked for is null, with an error."""
    text = f"""{{ person({identity(HIRO)}) {{
        customers {{ id name email identities {{ key externalId }} segments {{ totalCount }} }}
        segments {{ nodes {{ name }} sources {{ provider {{ key }} error {{ code }} }} }}
        {SOURCES}
    }} }}"""
    await front.data(text)
    front.providers.instead["emporix"] = answering(500, b"")
    answer = await front.ask(text)
    shown = answer["data"]["person"]
    assert shown["customers"][2] == {
        "id": at(HIRO, "emporix"),
        "name": None,
        "email": None,
        "identities": [{"key": "id", "externalId": HIRO.emporix_id}],
        "segments": {"totalCount": None},
    }
    assert [(e["path"], e["extensions"]["code"]) for e in answer["errors"]] == [
        (["person", "customers", 2, "name"], "PROVIDER_BROKEN"),
        (["person", "customers", 2, "email"], "PROVIDER_BROKEN"),
    ]
    assert [each["name"] for each in shown["segments"]["nodes"]] == [
        *HIRO_IN["stuut"],
        *HIRO_IN["voucherify"],
    ]
    assert shown["segments"]["sources"] == [
        {"provider": {"key": "stuut"}, "error": None},
        {"provider": {"key": "voucherify"}, "error": None},
        {"provider": {"key": "emporix"}, "error": {"code": "PROVIDER_BROKEN"}},
    ]
    assert shown["sources"][3] == source("emporix", None, 1, "PROVIDER_BROKEN")


async def test_identity_at_a_provider_that_is_down(front: Front) -> None:
    """The index still has the person of a customer that was read; of another it is the error."""
    text = (
        '{ person(identity: { provider: "voucherify", externalId: "%s" }) { customers { id } } }'
    )
    await front.data(text % HIRO.voucherify_id)
    front.providers.instead["voucherify"] = answering(500, b"")
    data = await front.data(text % HIRO.voucherify_id)
    assert data["person"] == {"customers": HIRO_AT}
    answer = await front.ask(text % ANA.voucherify_id)
    assert answer["data"] == {"person": None}
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["PROVIDER_BROKEN"]


async def test_below_a_customer(front: Front) -> None:
    """Below `customer` and `node` providers are asked; in a list the index is."""
    of = at(HIRO, "voucherify")
    for text in (
        f'{{ x: customer(id: "{of}") {{ person {IDS} }} }}',
        f'{{ x: node(id: "{of}") {{ ... on Customer {{ person {IDS} }} }} }}',
    ):
        assert (await front.data(text))["x"] == {"person": {"customers": HIRO_AT}}
        assert front.counts["voucherify"] == 1
        assert front.counts["emporix"] == 1
        front.forget()
    text = f"""{{ customers(filter: {{ providers: ["voucherify"], email: "{ANA.email}" }}) {{
        nodes {{ id person {IDS} }} }} }}"""
    (node,) = (await front.data(text))["customers"]["nodes"]
    assert node["person"] == {"customers": customers(ANA, "voucherify")}
    assert front.counts == {"voucherify": 1}


async def test_a_list_has_persons_by_one_read_of_the_index(front: Front) -> None:
    """What any read has brought is linked, before that read was answered."""
    text = """{ customers(first: 250, filter: { providers: ["%s"] }) {
        nodes { id person { customers { id } } } } }"""
    await front.data(text % "emporix")
    front.forget()
    data = await front.data(text % "voucherify")
    assert front.counts == {"voucherify": 3}
    shown = {each["id"]: each["person"]["customers"] for each in data["customers"]["nodes"]}
    everyone = [person(n) for n in range(300)]
    expected = {
        at(one, "voucherify"): customers(
            one, *(["voucherify", "emporix"] if one.emporix_id else ["voucherify"])
        )
        for one in everyone
        if one.voucherify_id
    }
    assert shown == expected


async def test_segments_of_a_person(front: Front) -> None:
    """The union of all customers' segments, paged, each segment once; assignments each."""
    text = f"""query($n: Int, $a: String) {{ person({identity(HIRO)}) {{
        segments(first: $n, after: $a) {{
            totalCount nodes {{ name provider {{ key }} }} pageInfo {{ hasNextPage endCursor }}
        }} }} }}"""
    whole = (await front.data(text, {"n": 250}))["person"]["segments"]
    expected = [
        {"name": name, "provider": {"key": key}}
        for key, names in HIRO_IN.items()
        for name in names
    ]
    assert whole["nodes"] == expected
    assert whole["totalCount"] == len(expected)
    paged: list[Any] = []
    after = None
    while True:
        page = (await front.data(text, {"n": 2, "a": after}))["person"]["segments"]
        paged += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert paged == expected


async def test_a_store_that_fails_costs_the_links_only(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Customers are read without an index that can be written; persons are null, with an error."""

    async def fail(*_: object) -> bool:
        raise StoreFailed(cause="it is a test")

    monkeypatch.setattr(IdentityIndex, "_differs", fail)
    data = await front.data(
        '{ customers(first: 1, filter: {providers: ["voucherify"]}) { nodes { name } } }'
    )
    assert len(data["customers"]["nodes"]) == 1
    answer = await front.ask(f"{{ person({identity(HIRO)}) {{ id }} }}")
    assert answer["data"] == {"person": None}
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["STORE_UNAVAILABLE"]
