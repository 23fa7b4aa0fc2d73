"""The obvious solution: Strawberry's types and ASGI application, aiodataloader, httpx."""

import asyncio
import os
from typing import Any, Self

import httpx
import strawberry
from aiodataloader import DataLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info

SEGMENTS = "/customer-segment/acme/segments"
CUSTOMERS = "/customer/acme/customers"

client = httpx.AsyncClient(
    base_url=os.environ["UPSTREAM"],
    limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
    timeout=30,
)


async def get(path: str, **params: str | int) -> Any:
    """Return the JSON that the upstream sends."""
    answer = await client.get(path, params=params)
    answer.raise_for_status()
    return answer.json()


@strawberry.type
class Segment:
    """A segment of Voucherify."""

    id: strawberry.ID
    name: str
    description: str | None
    created_at: str
    updated_at: str | None
    membership: str
    status: str
    emits_events: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Map a row."""
        return cls(**{name: row[name] for name in cls.__annotations__})


@strawberry.type
class Localized:
    """A localised text."""

    en: str | None
    de: str | None


@strawberry.type
class Metadata:
    """Emporix's metadata of a document."""

    version: int
    createdAt: str  # noqa: N815  # the peers' schema takes the provider's names as they are
    modifiedAt: str  # noqa: N815  # likewise


@strawberry.type
class Customer:
    """A customer of Emporix."""

    id: strawberry.ID
    name: str | None
    email: str | None
    phone: str | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Map a row."""
        return cls(id=row["id"], name=row["name"], email=row["email"], phone=row["phone"])


@strawberry.type
class Assignment:
    """The assignment of a customer to a segment."""

    metadata: Metadata
    customer_id: strawberry.Private[str]

    @strawberry.field
    async def person(self, info: Info) -> Customer | None:
        """Return the customer, with a call of its own."""
        customer: Customer | None = await info.context["single"].load(self.customer_id)
        return customer

    @strawberry.field(name="personBatched")  # type: ignore[untyped-decorator]  # Strawberry's
    async def person_batched(self, info: Info) -> Customer | None:
        """Return the customer, with one call for all."""
        customer: Customer | None = await info.context["batched"].load(self.customer_id)
        return customer


@strawberry.type
class EmporixSegment:
    """A segment of Emporix."""

    id: strawberry.ID
    siteCode: str  # noqa: N815  # the provider's name
    name: Localized
    description: Localized | None
    status: str
    metadata: Metadata

    @strawberry.field
    async def customers(self, first: int) -> list[Assignment]:
        """Return the first assignments."""
        rows = await get(f"{SEGMENTS}/{self.id}/customers", pageNumber=1, pageSize=first)
        return [
            Assignment(metadata=Metadata(**row["metadata"]), customer_id=row["customer"]["id"])
            for row in rows
        ]

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Map a row."""
        return cls(
            id=row["id"],
            siteCode=row["siteCode"],
            name=Localized(**row["name"]),
            description=Localized(**row["description"]),
            status=row["status"],
            metadata=Metadata(**row["metadata"]),
        )


@strawberry.type
class MergedSegment:
    """A segment of either."""

    id: strawberry.ID
    provider: str
    name: str
    description: str | None
    membership: str
    status: str
    createdAt: str  # noqa: N815  # as in the peers' schema
    updatedAt: str  # noqa: N815  # likewise

    @classmethod
    def of_voucherify(cls, row: dict[str, Any]) -> Self:
        """Map a row of Voucherify."""
        return cls(
            id=row["id"],
            provider="voucherify",
            name=row["name"],
            description=row["description"],
            membership=row["membership"],
            status=row["status"],
            createdAt=row["created_at"],
            updatedAt=row["updated_at"],
        )

    @classmethod
    def of_emporix(cls, row: dict[str, Any]) -> Self:
        """Map a row of Emporix."""
        return cls(
            id=row["id"],
            provider="emporix",
            name=row["name"]["en"],
            description=row["description"]["en"],
            membership=row["membership"],
            status=row["status"],
            createdAt=row["metadata"]["createdAt"],
            updatedAt=row["metadata"]["modifiedAt"],
        )


async def voucherify_rows(first: int) -> list[dict[str, Any]]:
    """Read the first segments of Voucherify."""
    rows: list[dict[str, Any]] = (await get("/v1/segments", limit=first))["data"]
    return rows


async def emporix_rows(first: int, page: int) -> list[dict[str, Any]]:
    """Read one page of the segments of Emporix."""
    rows: list[dict[str, Any]] = await get(SEGMENTS, pageNumber=page, pageSize=first)
    return rows


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def greet(self) -> str:
        """Return a constant, without a call."""
        return "hello"

    @strawberry.field
    async def segments(self, first: int) -> list[Segment]:
        """Return the first segments of Voucherify."""
        return [Segment.of(row) for row in await voucherify_rows(first)]

    @strawberry.field
    async def segment(self, id: strawberry.ID) -> Segment | None:  # noqa: A002  # GraphQL's name
        """Return one segment of Voucherify."""
        return Segment.of(await get(f"/v1/segments/{id}"))

    @strawberry.field(name="emporixSegments")  # type: ignore[untyped-decorator]  # Strawberry's
    async def emporix_segments(self, first: int, page: int) -> list[EmporixSegment]:
        """Return one page of the segments of Emporix."""
        return [EmporixSegment.of(row) for row in await emporix_rows(first, page)]

    @strawberry.field
    async def merged(self) -> list[MergedSegment]:
        """Return the segments of both."""
        ours, theirs = await asyncio.gather(voucherify_rows(100), emporix_rows(100, 1))
        shown = [MergedSegment.of_voucherify(row) for row in ours]
        return shown + [MergedSegment.of_emporix(row) for row in theirs]


async def one_by_one(keys: list[str]) -> list[Customer]:
    """Read each customer with a call of its own."""
    return [
        Customer.of(row)
        for row in await asyncio.gather(*(get(f"{CUSTOMERS}/{key}") for key in keys))
    ]


async def together(keys: list[str]) -> list[Customer | None]:
    """Read all customers with one call."""
    rows = await get(CUSTOMERS, ids=",".join(keys))
    known = {row["id"]: Customer.of(row) for row in rows}
    return [known.get(key) for key in keys]


class Application(GraphQL[dict[str, Any], None]):
    """Strawberry's application, with loaders per request."""

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> dict[str, Any]:
        """Return new loaders."""
        del request, response
        return {"single": DataLoader(one_by_one), "batched": DataLoader(together)}


schema = strawberry.Schema(Query, config=StrawberryConfig(auto_camel_case=False))
app = Application(schema, graphql_ide=None)
