"""Fields with `@semanticNonNull` are null only with an error: each with a fault, and without.

Besides, `tests/conftest.py` compares every response that any test makes in its process.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from graphql import ObjectTypeDefinitionNode, parse
from pydantic import SecretStr

from gateway.store.database import Database
from gateway.store.errors import StoreFailed
from resolvers.schema import SCHEMA, sdl
from tests.e2e.failures import FAILURES
from tests.e2e.persons.asking import HIRO, link_id
from tests.e2e.serving import (
    Front,
    Providers,
    customer_id,
    segment_id,
    serving,
    settings_with,
)
from tests.e2e.writes.inputs import given_for
from tests.semantic_nulls import Observation, annotated, observe, positions

CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
NEVER_NULL = {"CustomerIdentity.key", "Person.links", "SourceError.requestId"}
"""They need nothing that can fail."""
BY_STORE = {
    "Customer.person",
    "Provider.webhooks",
    "Query.changes",
    "Query.changesCursor",
    "Query.identityLinks",
    "Query.people",
    *(f"Mutation.{name}" for name in CORE.type_map["Mutation"].fields),  # type: ignore[attr-defined]  # an object type
}
"""They are null when the store fails."""
BY_PROVIDER = {"Query.segmentItemsMatch", "Query.segmentsCompare"}
"""They are null when the provider fails."""
BY_CURSOR = {
    "Customer.assignments",
    "Customer.segments",
    "Person.assignments",
    "Person.segments",
}
"""A provider that fails is in `sources`: they are null for a wrong cursor only."""

GOLDEN, STAFF = segment_id("emporix", "golden"), segment_id("emporix", "staff")
READS = f"""
query ($after: String) {{
  provider(key: "emporix") {{ webhooks {{ state }} }}
  changesCursor
  changes {{ nodes {{ id }} }}
  people {{ nodes {{ id }} }}
  identityLinks {{ nodes {{ id }} }}
  segmentItemsMatch(input: {{
    provider: "emporix", siteCode: "main", itemIds: ["p1001"], segmentIds: ["{GOLDEN}"]
  }}) {{ externalId }}
  segmentsCompare(segmentIds: ["{GOLDEN}", "{STAFF}"]) {{ total }}
  customers(first: 2, filter: {{ providers: ["stuut", "emporix"], nameContains: "a" }}) {{
    nodes {{
      identities {{ key }}
      assignments(first: 1, after: $after) {{ nodes {{ id }} }}
      segments(first: 1, after: $after) {{ nodes {{ id }} }}
      person {{
        links {{ id }}
        assignments(first: 1, after: $after) {{ nodes {{ id }} }}
        segments(first: 1, after: $after) {{ nodes {{ id }} }}
      }}
    }}
    sources {{ error {{ requestId }} }}
  }}
}}
"""
OTHERS: Mapping[str, Any] = {
    "segmentBulkDelete": {"ids": [STAFF]},
    "customersLink": {"customerIds": [customer_id("emporix", "1"), customer_id("stuut", "1")]},
    "customersUnlink": {"customerIds": [customer_id("emporix", "1"), customer_id("stuut", "1")]},
    "identityLinkDecide": {"linkId": link_id(HIRO, "emporix", HIRO, "stuut"), "accept": True},
}


def writes() -> tuple[str, dict[str, Any]]:
    """Return a document with every mutation once, and its variables."""
    variables, parts = {}, []
    for name, field in CORE.type_map["Mutation"].fields.items():  # type: ignore[attr-defined]  # an object type
        given = OTHERS.get(name) or given_for(name, "emporix")
        variables[name] = {**given, "idempotencyKey": f"key of {name}"}
        parts.append((f"${name}: {field.args['input'].type}", f"{name}(input: ${name})"))
    declared, selected = zip(*parts, strict=True)
    fields = " ".join(f"{each} {{ userErrors {{ code }} }}" for each in selected)
    return f"mutation ({', '.join(declared)}) {{ {fields} }}", variables


async def observed(
    front: Front, text: str, variables: Mapping[str, Any] | None = None
) -> dict[str, set[Observation]]:
    """Return what a response has at each field with the directive."""
    body = await front.ask(text, variables)
    keys = positions(CORE, parse(text), None)
    result: dict[str, set[Observation]] = {}
    for each in observe(keys, body["data"], body.get("errors", ())):
        result.setdefault(each.coordinate, set()).add(each)
    return result


def null(observations: Mapping[str, set[Observation]]) -> set[str]:
    """Return the fields that were null; each has its error."""
    every = [each for those in observations.values() for each in those]
    assert [each for each in every if each.breaks_the_promise] == []
    return {each.coordinate for each in every if each.is_null}


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    """Return the front door of a gateway that may write."""
    settings = settings_with()
    accounts = [
        each.model_copy(update={"webhook_secret": SecretStr("a-secret")})
        if each.key == "emporix"
        else each
        for each in settings.providers
    ]
    settings = settings.model_copy(update={"providers": tuple(accounts)})
    async with serving(Providers(), settings) as result:
        yield result


def test_the_fields_are_known() -> None:
    """They are those that the faults below are for, and the SDL has the directive at each."""
    fields = annotated(CORE)
    assert fields == NEVER_NULL | BY_STORE | BY_PROVIDER | BY_CURSOR
    in_sdl = {
        f"{definition.name.value}.{field.name.value}"
        for definition in parse(sdl()).definitions
        if isinstance(definition, ObjectTypeDefinitionNode)
        for field in definition.fields or ()
        if any(each.name.value == "semanticNonNull" for each in field.directives or ())
    }
    assert in_sdl == fields


async def test_without_a_fault(front: Front) -> None:
    """Each field has a value: none of them is always null."""
    reads = await observed(front, READS)
    changes = await observed(front, *writes())
    assert reads.keys() | changes.keys() == annotated(CORE)
    assert null(reads) | null(changes) == set()


async def test_a_store_that_fails(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the store is null with an error, and so is every write with a key."""

    def fail(*_: object) -> None:
        raise StoreFailed(cause="it is a test")

    monkeypatch.setattr(Database, "_connected", fail)
    reads = null(await observed(front, READS))
    assert reads | null(await observed(front, *writes())) == BY_STORE


async def test_a_provider_that_fails(front: Front) -> None:
    """What one provider has is null with an error; lists are not, also of one provider."""
    front.providers.instead = dict.fromkeys(("emporix",), FAILURES["unreachable"].server)
    assert null(await observed(front, READS)) == BY_PROVIDER


async def test_a_wrong_cursor(front: Front) -> None:
    """Lists of one customer or person are null with an error."""
    assert null(await observed(front, READS, {"after": "x"})) == BY_CURSOR


def test_a_null_without_an_error_is_noticed() -> None:
    """In lists and fragments, too. An error counts at the path of the null, or below it."""
    text = """{
      changes { nodes { id } }
      nodes(ids: []) { ... on Customer { id person { of: links { id } } } ... on Segment { name } }
    }"""
    keys = positions(CORE, parse(text), None)
    data = {"changes": None, "nodes": [{"name": "A"}, {"id": "1", "person": None}]}

    def broken(*paths: list[str | int]) -> list[tuple[str, tuple[str | int, ...]]]:
        seen = observe(keys, data, [{"path": path} for path in paths])
        return [(each.coordinate, each.path) for each in seen if each.breaks_the_promise]

    changes = ("Query.changes", ("changes",))
    person = ("Customer.person", ("nodes", 1, "person"))
    assert broken() == [changes, person]
    assert broken(["changes", "nodes", 0, "id"], ["nodes", 0, "person"]) == [person]
    assert broken(["changes"], ["nodes", 1, "person"]) == []
    assert broken(["nodes"], ["nodes", 1]) == [changes, person]
