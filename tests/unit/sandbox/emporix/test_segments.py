from collections.abc import Callable
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

SEGMENTS = "/customer-segment/sandbox/segments"
NOW = "2026-11-22T10:00:00.123Z"
ALL = {"Accept-Language": "*"}

MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
SEGMENT_RESPONSE = {  # SegmentResponse of the vendor's file, 2026-08-21
    "type": "object",
    "required": ["id", "name", "status", "siteCode", "metadata"],
    "properties": {
        "id": {"type": "string"},
        "name": TEXTS,
        "description": TEXTS,
        "validity": {"type": "object", "properties": {"from": MOMENT, "to": MOMENT}},
        "status": {"enum": ["ACTIVE", "INACTIVE"]},
        "siteCode": {"type": "string"},
        "mixins": {"type": "object"},
        "metadata": {
            "type": "object",
            "required": ["createdAt", "modifiedAt", "version"],
            "properties": {
                "createdAt": MOMENT,
                "modifiedAt": MOMENT,
                "version": {"type": "integer"},
                "mixins": {"type": "object"},
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def ids(answer: httpx.Response) -> list[str]:
    """Return the ids of the segments listed."""
    assert answer.status_code == 200
    return [row["id"] for row in answer.json()]


async def test_shape_of_the_example(
    service: httpx.AsyncClient,
) -> None:
    """The example has 16 segments of the documented shape, empty to well filled."""
    rows = (await service.get(SEGMENTS, headers=ALL)).json()

    jsonschema.validate(rows, {"type": "array", "items": SEGMENT_RESPONSE})
    assert len(rows) == 16
    assert {row["siteCode"] for row in rows} == {"main", "outlet"}
    assert [row["id"] for row in rows if len(row["id"]) != 24] == [
        "golden",
        "vip-2026",
        "b2b-partners",
        "staff",
    ]
    sizes = []
    for row in rows:
        members = await service.get(f"{SEGMENTS}/{row['id']}/customers", params={"pageSize": 100})
        sizes.append(len(members.json()))
    assert (min(sizes), max(sizes), sum(sizes)) == (0, 57, 390)


async def test_read(service: httpx.AsyncClient) -> None:
    """A segment is read whole."""
    answer = await service.get(f"{SEGMENTS}/vip-2026", headers=ALL)

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "id": "vip-2026",
            "name": {"en": "VIP 2026", "de": "VIP 2026"},
            "description": {"en": "Invited to previews in 2026"},
            "validity": {"from": "2026-01-01T00:00:00.000Z", "to": "2026-12-31T23:59:59.000Z"},
            "status": "ACTIVE",
            "siteCode": "main",
            "metadata": {
                "createdAt": "2025-04-04T09:37:00.113Z",
                "modifiedAt": "2025-04-09T09:37:00.113Z",
                "version": 2,
            },
        },
    )


@pytest.mark.parametrize("segment_id", ["none", "GOLDEN", "me/", "bulk", "search"])
async def test_unknown_id(service: httpx.AsyncClient, segment_id: str) -> None:
    """An unknown id is 404 with the documented message, and case counts."""
    answer = await service.get(f"{SEGMENTS}/{segment_id.replace('/', '%2F')}")

    assert (answer.status_code, answer.json()) == (
        404,
        {
            "code": 404,
            "status": "Not Found",
            "message": f"The resource with id {segment_id} has not been found.",
        },
    )


@pytest.mark.parametrize(
    "segment_id",
    ["a/b", "urn:seg:1", "early access", "Żółw", "50%", "a?b#c", "..", "me", "search"],
)
async def test_any_text_is_an_id(service: httpx.AsyncClient, segment_id: str) -> None:
    """Any text is an id, when it is percent-encoded in the path."""
    body = {"id": segment_id, "name": {"en": "x"}, "siteCode": "main"}
    assert (await service.post(SEGMENTS, json=body)).json() == {"id": segment_id}
    path = f"{SEGMENTS}/" + "".join(f"%{byte:02X}" for byte in segment_id.encode())

    members = await service.put(f"{path}/customers/90000000")
    assert members.status_code == 201
    if segment_id != "me":
        assert (await service.get(path)).json()["id"] == segment_id
    assert (await service.delete(f"{path}?forceDelete=true")).status_code == 204
    assert ids(await service.get(SEGMENTS, params={"q": f'id:"{segment_id}"'})) == []


async def test_mounted(app: Any, service: httpx.AsyncClient) -> None:
    """Mounted below a prefix, the server reads its own part of the path."""
    transport = httpx.ASGITransport(app=app, root_path="/emporix")
    async with httpx.AsyncClient(
        transport=transport, base_url="http://sandbox", headers=service.headers
    ) as client:
        assert (await client.get(f"/emporix{SEGMENTS}/golden")).json()["id"] == "golden"
        assert (await client.get(f"/emporix{SEGMENTS}/a%2Fb")).status_code == 404


@pytest.mark.parametrize(
    ("header", "name", "description"),
    [
        (None, {"en": "Golden customers"}, {"en": "The highest tier of the loyalty programme"}),
        ("", {"en": "Golden customers"}, {"en": "The highest tier of the loyalty programme"}),
        ("de", {"de": "Goldkunden"}, {"de": "Die höchste Stufe des Treueprogramms"}),
        ("de-AT", {"de": "Goldkunden"}, {"de": "Die höchste Stufe des Treueprogramms"}),
        (
            "en;q=0.5, pl",
            {"pl": "Złoci klienci"},
            {"en": "The highest tier of the loyalty programme"},
        ),
        ("fr", {}, {}),
        (
            "en;q=x",
            {"en": "Golden customers"},
            {"en": "The highest tier of the loyalty programme"},
        ),
        (
            "fr, *;q=0.1",
            {
                "en": "Golden customers",
                "de": "Goldkunden",
                "pl": "Złoci klienci",
                "es": "Clientes oro",
            },
            {
                "en": "The highest tier of the loyalty programme",
                "de": "Die höchste Stufe des Treueprogramms",
            },
        ),
    ],
)
async def test_accept_language(
    service: httpx.AsyncClient,
    header: str | None,
    name: dict[str, str],
    description: dict[str, str],
) -> None:
    """Texts are maps, narrowed to the first requested language that is available."""
    headers = {} if header is None else {"Accept-Language": header}
    row = (await service.get(f"{SEGMENTS}/golden", headers=headers)).json()

    assert (row["name"], row["description"]) == (name, description)


async def test_pages(
    service: httpx.AsyncClient,
) -> None:
    """Pages are counted from 1; the total is a header, on request."""
    everything = ids(await service.get(SEGMENTS))
    pages, totals = [], []
    for number in range(1, 5):
        answer = await service.get(
            SEGMENTS,
            params={"pageNumber": number, "pageSize": 7},
            headers={"X-Total-Count": "true"},
        )
        pages.append(ids(answer))
        totals.append(answer.headers["X-Total-Count"])

    assert pages == [everything[:7], everything[7:14], everything[14:], []]
    assert totals == ["16"] * 4
    assert "X-Total-Count" not in (await service.get(SEGMENTS)).headers


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"q": "siteCode:outlet status:INACTIVE"}, ["staff"]),
        ({"q": "name.en:~^VIP"}, ["vip-2026"]),
        ({"q": "id:(staff,golden,none)"}, ["golden", "staff"]),
        ({"q": "id:(staff,golden)", "sort": "id:desc"}, ["staff", "golden"]),
        ({"q": "metadata.version:>=3", "sort": "metadata.version"}, ["b2b-partners", "golden"]),
        (
            {"q": "metadata.version:>=3", "sort": "metadata.version:DESC"},
            ["golden", "b2b-partners"],
        ),
        ({"q": "id:~^[a-z0-9]+-", "sort": "status:siteCode:name"}, ["b2b-partners", "vip-2026"]),
        ({"q": "mixins.pricing:exists"}, ["b2b-partners"]),
        ({"customerId": "90000037", "q": "id:b2b-partners"}, ["b2b-partners"]),
        ({"customerId": "unknown"}, []),
    ],
)
async def test_list_and_search(
    service: httpx.AsyncClient, params: dict[str, str], expected: list[str]
) -> None:
    """List and search select and sort alike."""
    listed = await service.get(SEGMENTS, params=params)
    body = {"q": params["q"]} if "q" in params else {}
    rest = {name: value for name, value in params.items() if name != "q"}
    searched = await service.post(f"{SEGMENTS}/search", params=rest, json=body)

    assert ids(listed) == ids(searched) == expected


async def test_fields(service: httpx.AsyncClient) -> None:
    """`fields` is a projection, in lists and of one."""
    fields = {"fields": "id,metadata.version,validity.from,none,status.x"}

    answer = await service.get(f"{SEGMENTS}/vip-2026", params=fields)
    assert answer.json() == {
        "id": "vip-2026",
        "metadata": {"version": 2},
        "validity": {"from": "2026-01-01T00:00:00.000Z"},
    }
    answer = await service.get(SEGMENTS, params={"fields": "id", "q": "id:golden"})
    assert answer.json() == [{"id": "golden"}]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"q": "siteCode"}, "q"),
        ({"pageNumber": "0"}, "pageNumber"),
        ({"pageNumber": "one"}, "pageNumber"),
        ({"pageSize": "0"}, "pageSize"),
        ({"pageSize": "-1"}, "pageSize"),
        ({"sort": "asc:id"}, "sort"),
        ({"sort": "id::asc"}, "sort"),
    ],
)
async def test_refused_parameters(
    service: httpx.AsyncClient, params: dict[str, str], field: str
) -> None:
    """Parameters that cannot be read are 400 and named."""
    answer = await service.get(SEGMENTS, params=params)

    body = answer.json()
    assert answer.status_code == 400
    assert body.pop("details")["field"] == field
    assert body == {
        "code": 400,
        "status": "Bad Request",
        "message": "Validation problem with request body.",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"q": 1}', b'{"q": "x"}'])
async def test_refused_search(service: httpx.AsyncClient, body: bytes) -> None:
    """A search body that cannot be read is 400."""
    assert (await service.post(f"{SEGMENTS}/search", content=body)).status_code == 400


async def test_shopper(
    service: httpx.AsyncClient, shopper: Callable[[str], httpx.AsyncClient]
) -> None:
    """Shoppers see only their own ACTIVE segments, by every operation."""
    number = "90000000"
    await service.put(f"{SEGMENTS}/staff/customers/{number}")  # INACTIVE
    every = await service.get(SEGMENTS, params={"customerId": number})
    own = [row["id"] for row in every.json() if row["status"] == "ACTIVE"]
    client = shopper(number)

    assert len(own) == len(every.json()) - 1 > 0
    assert ids(await client.get(SEGMENTS)) == own
    assert ids(await client.post(f"{SEGMENTS}/search", json={"q": "id:exists"})) == own
    assert ids(await client.get(f"{SEGMENTS}/me")) == own
    assert (await client.get(f"{SEGMENTS}/{own[0]}")).json()["id"] == own[0]
    for other in ("staff", "b2b-partners"):
        assert (await client.get(f"{SEGMENTS}/{other}")).status_code == 404


async def test_legal_entity(
    service: httpx.AsyncClient,
) -> None:
    """`legalEntityId` only counts for customers of more than one legal entity."""
    customer = (await service.get("/customer/sandbox/customers/90000037")).json()
    first, second = (entity["id"] for entity in customer["b2b"]["legalEntities"])
    await service.delete(f"{SEGMENTS}/b2b-partners/customers/90000037/{second}")

    async def partners(number: str, entity: str) -> list[str]:
        params = {"customerId": number, "legalEntityId": entity, "q": "id:b2b-partners"}
        return ids(await service.get(SEGMENTS, params=params))

    assert await partners("90000037", first) == ["b2b-partners"]
    assert await partners("90000037", second) == []
    assert await partners("90000333", "any") == ["b2b-partners"]
