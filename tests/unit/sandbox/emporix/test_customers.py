from collections.abc import Callable
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

CUSTOMERS = "/customer/sandbox/customers"
NOW = "2026-11-22T10:00:00.123Z"
STRING = {"type": "string"}
CUSTOMER_RESPONSE = {  # CustomerForSellerDto of the vendor's file, 2026-08-21; `required` is ours
    "type": "object",
    "required": ["id", "customerNumber", "contactEmail", "active", "onHold", "businessModel"],
    "properties": {
        **dict.fromkeys(
            ("title", "firstName", "lastName", "contactPhone", "contactEmail", "company"), STRING
        ),
        **dict.fromkeys(("id", "customerNumber", "preferredSite", "metadataCreatedAt"), STRING),
        "preferredLanguage": {"type": "string", "pattern": "^[a-z]{2}_[A-Z]{2}$"},
        "preferredCurrency": {"type": "string", "minLength": 3, "maxLength": 3},
        "active": {"type": "boolean"},
        "onHold": {"type": "boolean"},
        "businessModel": {"enum": ["B2B", "B2C"]},
        "b2b": {
            "type": "object",
            "properties": {
                "companyRegistrationId": STRING,
                "legalEntities": {
                    "type": "array",
                    "items": {
                        "required": ["id", "name", "contactAssignmentId"],
                        "additionalProperties": STRING,
                    },
                },
            },
        },
        "metadata": {
            "type": "object",
            "required": ["version"],
            "properties": {"version": {"type": "integer"}, "mixins": {"type": "object"}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def numbers(answer: httpx.Response) -> list[str]:
    """Return the numbers of the customers listed."""
    assert answer.status_code == 200
    return [row["id"] for row in answer.json()]


def missing(number: str) -> dict[str, Any]:
    """Return the documented body of a 404."""
    return {
        "status": 404,
        "type": "application/json",
        "message": "Customer not Found",
        "details": [{"message": f"Couldn't find a customer with customerNumber '{number}'"}],
    }


async def test_shape_of_the_example(
    service: httpx.AsyncClient,
) -> None:
    """Every person of the cast with a number is a customer of the documented shape."""
    answer = await service.get(CUSTOMERS, params={"pageSize": 1000})

    assert (len(answer.json()), answer.headers["Count"]) == (200, "200")
    jsonschema.validate(answer.json(), {"type": "array", "items": CUSTOMER_RESPONSE})


async def test_read_and_expand(
    service: httpx.AsyncClient,
) -> None:
    """Addresses, accounts and mixins are shown only with `expand`."""
    customer = {
        "id": "90000000",
        "customerNumber": "90000000",
        "title": "DR",
        "firstName": "Ana",
        "lastName": "Almeida",
        "contactEmail": "ana.almeida.0@example.com",
        "contactPhone": "+49 30 5550000",
        "preferredLanguage": "de_DE",
        "preferredCurrency": "EUR",
        "preferredSite": "outlet",
        "active": True,
        "onHold": False,
        "businessModel": "B2C",
        "metadata": {
            "version": 1,
            "mixins": {"loyalty": "https://example.com/schemas/customer-loyalty.v1.json"},
        },
        "metadataCreatedAt": "2023-01-02T08:00:00.000Z",
    }
    address = {
        "id": "addr-90000000",
        "contactName": "Ana Almeida",
        "city": "Berlin",
        "country": "DE",
        "contactPhone": "+49 30 5550000",
        "isDefault": True,
    }
    addresses = {"defaultAddress": address, "addresses": [address]}
    accounts = {"accounts": [{"id": "ana.almeida.0@example.com", "providerId": "emporix"}]}
    mixins = {"mixins": {"loyalty": {"tier": "Gold", "crmId": "crm-00000"}}}

    async def expanded(expand: str) -> Any:
        return (await service.get(f"{CUSTOMERS}/90000000", params={"expand": expand})).json()

    assert (await service.get(f"{CUSTOMERS}/90000000")).json() == customer
    assert await expanded("addresses") == customer | addresses
    assert await expanded("accounts,mixin:*") == customer | accounts | mixins
    assert await expanded("mixin:loyalty") == customer | mixins
    assert await expanded("mixin:other") == customer | {"mixins": {}}


async def test_unknown_customer(
    service: httpx.AsyncClient,
) -> None:
    """An unknown customer is 404 in this service's own shape."""
    for method in ("GET", "PATCH", "DELETE"):
        answer = await service.request(method, f"{CUSTOMERS}/a%2Fb", json={})
        assert (answer.status_code, answer.json()) == (404, missing("a/b"))


async def test_pages(
    service: httpx.AsyncClient,
) -> None:
    """A page has 60 customers by default, and `Count` is the total."""
    answers = [
        await service.get(CUSTOMERS, params={"pageNumber": number}) for number in range(1, 6)
    ]

    assert [len(answer.json()) for answer in answers] == [60, 60, 60, 20, 0]
    assert {answer.headers["Count"] for answer in answers} == {"200"}
    assert len({number for answer in answers for number in numbers(answer)}) == 200


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"q": "contactEmail:ana.almeida.0@example.com"}, ["90000000"]),
        ({"q": "contactEmail:ana.almeida.0@example.com firstName:Bo"}, []),
        ({"q": "customerNumber:90000037"}, ["90000037"]),
        ({"q": "id:(90000037,none,90000000)"}, ["90000000", "90000037"]),
        ({"q": "id:(90000037,90000000)", "sort": "lastName:desc"}, ["90000037", "90000000"]),
        (
            {"q": "company:~^Lindqvist businessModel:B2B"},
            ["90000037", "90003885", "90005809", "90009657"],
        ),
        ({"q": "contactEmail:nobody@example.com"}, []),
    ],
)
async def test_list_and_search(
    service: httpx.AsyncClient, params: dict[str, str], expected: list[str]
) -> None:
    """List and search return the same rows, with or without an index, in any order."""
    listed = await service.get(CUSTOMERS, params=params)
    rest = {name: value for name, value in params.items() if name != "q"}
    searched = await service.post(f"{CUSTOMERS}/search", params=rest, json={"q": params["q"]})

    assert numbers(listed) == numbers(searched) == expected
    assert listed.headers["Count"] == searched.headers["Count"] == str(len(expected))


async def test_lists_follow_writes(service: httpx.AsyncClient) -> None:
    """Cached lists and lookups reflect every write."""
    params = {"sort": "contactEmail:desc", "pageSize": "1"}
    before = numbers(await service.get(CUSTOMERS, params=params))
    body = {"id": "last", "contactEmail": "zzz@example.com"}
    await service.post(CUSTOMERS, json=body)
    assert numbers(await service.get(CUSTOMERS, params=params)) == ["last"]
    await service.patch(f"{CUSTOMERS}/last", json={"contactEmail": "aaa@example.com"})
    assert numbers(await service.get(CUSTOMERS, params=params)) == before
    for email, expected in (("zzz@example.com", []), ("aaa@example.com", ["last"])):
        answer = await service.get(CUSTOMERS, params={"q": f"contactEmail:{email}"})
        assert numbers(answer) == expected


async def test_refused_parameters(service: httpx.AsyncClient) -> None:
    """A parameter that cannot be read is 400 in this service's own shape."""
    answer = await service.get(CUSTOMERS, params={"pageNumber": "0"})

    assert (answer.status_code, answer.json()) == (
        400,
        {
            "status": 400,
            "type": "bad_request",
            "message": "Bad Request",
            "details": [{"field": "pageNumber", "message": "must be a number from 1"}],
        },
    )
    assert (await service.get(CUSTOMERS, params={"q": "x"})).status_code == 400


async def test_create(
    service: httpx.AsyncClient,
) -> None:
    """Creating returns only the id; the documented defaults are filled in."""
    body = {"contactEmail": "new@example.com", "password": "dropped", "b2b": {}}
    answer = await service.post(CUSTOMERS, json=body)
    assert (answer.status_code, answer.json()) == (201, {"id": "34751075"})

    assert (await service.get(f"{CUSTOMERS}/34751075")).json() == {
        "id": "34751075",
        "customerNumber": "34751075",
        "contactEmail": "new@example.com",
        "preferredLanguage": "en_US",
        "preferredCurrency": "USD",
        "preferredSite": "main",
        "active": True,
        "onHold": False,
        "b2b": {},
        "businessModel": "B2B",
        "metadata": {"version": 1},
        "metadataCreatedAt": NOW,
    }


@pytest.mark.parametrize(
    ("body", "account"),
    [
        ({"contactEmail": "ana.almeida.0@example.com"}, "ana.almeida.0@example.com"),
        ({"id": "90000000"}, "90000000"),
    ],
)
async def test_duplicate_account(
    service: httpx.AsyncClient, body: dict[str, str], account: str
) -> None:
    """An email or a number that is taken is 409."""
    answer = await service.post(CUSTOMERS, json=body)

    assert (answer.status_code, answer.json()) == (
        409,
        {
            "type": "conflict_resource",
            "status": 409,
            "message": f"Duplicate account '{account}' for tenant 'sandbox'.",
        },
    )


@pytest.mark.parametrize(
    "body",
    [
        {"id": "a/b"},
        {"id": ""},
        {"id": "x" * 67},
        {"preferredCurrency": "EURO"},
        {"active": "yes"},
        {"firstName": None},
        [],
    ],
)
async def test_refused_bodies(service: httpx.AsyncClient, body: Any) -> None:
    """A body that breaks the schema is 400."""
    assert (await service.post(CUSTOMERS, json=body)).status_code == 400


async def test_put(service: httpx.AsyncClient) -> None:
    """PUT creates (201) or replaces (204), and a stale version or a taken email is 409."""
    path = f"{CUSTOMERS}/x_1"
    created = await service.put(path, json={"firstName": "Ana", "company": "Example"})
    assert (created.status_code, created.json()) == (201, {"id": "x_1"})
    replaced = await service.put(path, json={"lastName": "Berg", "metadata": {"version": 1}})
    assert (replaced.status_code, replaced.content) == (204, b"")

    row = (await service.get(path)).json()
    assert "firstName" not in row
    assert (row["lastName"], row["metadata"]) == ("Berg", {"version": 2})
    assert (await service.put(path, json={"metadata": {"version": 1}})).status_code == 409
    taken = {"contactEmail": "ana.almeida.0@example.com"}
    assert (await service.put(path, json=taken)).status_code == 409
    assert (await service.put(f"{CUSTOMERS}/a%20b", json={})).status_code == 400


async def test_writes_keep_the_rest(service: httpx.AsyncClient) -> None:
    """PUT and PATCH do not touch addresses, accounts and legal entities."""
    path = f"{CUSTOMERS}/90000037"
    expand = {"expand": "addresses,accounts"}
    before = (await service.get(path, params=expand)).json()
    await service.put(path, json={"b2b": {"companyRegistrationId": "HR-1"}})
    await service.patch(path, json={"firstName": "Hiro"})
    after = (await service.get(path, params=expand)).json()

    unchanged = ("addresses", "defaultAddress", "accounts", "metadataCreatedAt", "businessModel")
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert after["b2b"] == before["b2b"] | {"companyRegistrationId": "HR-1"}


async def test_patch(service: httpx.AsyncClient) -> None:
    """PATCH changes only what is sent, null removes, and the response is 200 without a body."""
    path = f"{CUSTOMERS}/90000037"
    expand = {"expand": "mixin:*"}
    before = (await service.get(path, params=expand)).json()
    change = {"active": False, "company": None, "mixins": {"loyalty": {"tier": None, "p": 1}}}
    answer = await service.patch(path, json=change)

    assert (answer.status_code, answer.content) == (200, b"")
    del before["company"]
    assert (await service.get(path, params=expand)).json() == before | {
        "active": False,
        "mixins": {"loyalty": {"crmId": "crm-00001", "p": 1}},
        "metadata": before["metadata"] | {"version": 3},
    }
    bodies: list[Any] = [[], {"active": 1}]
    for body in bodies:
        assert (await service.patch(path, json=body)).status_code == 400


async def test_delete(service: httpx.AsyncClient) -> None:
    """Deleting is 202, then 404, and the email is free again."""
    path = f"{CUSTOMERS}/90000000"
    answer = await service.delete(path)

    assert (answer.status_code, answer.content) == (202, b"")
    assert (await service.get(path)).status_code == 404
    assert (await service.delete(path)).status_code == 404
    again = await service.post(CUSTOMERS, json={"contactEmail": "ana.almeida.0@example.com"})
    assert again.status_code == 201


async def test_shopper(
    shopper: Callable[[str], httpx.AsyncClient], service: httpx.AsyncClient
) -> None:
    """Shoppers see themselves and the customers of their company, and no others."""
    client = shopper("90000000")
    listed = await client.get(CUSTOMERS)
    assert (numbers(listed), listed.headers["Count"]) == (["90000000"], "1")
    assert (await client.get(f"{CUSTOMERS}/90000000")).status_code == 200
    assert (await client.patch(f"{CUSTOMERS}/90000000", json={})).status_code == 200
    other = await client.get(f"{CUSTOMERS}/90000037")
    assert (other.status_code, other.json()) == (404, missing("90000037"))
    assert (await client.put(f"{CUSTOMERS}/90000037", json={})).status_code == 403

    company = (await service.get(f"{CUSTOMERS}/90000037")).json()["b2b"]["legalEntities"][0]["id"]
    mates = await service.get(CUSTOMERS, params={"q": f"b2b.legalEntities.id:{company}"})
    assert numbers(await shopper("90000037").get(CUSTOMERS)) == numbers(mates)
