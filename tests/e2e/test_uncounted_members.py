"""A provider that lists the members of its segments, but has no call that counts them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import Problem, SettingsError
from gateway.providers import registry
from gateway.providers.voucherify.adapter import Voucherify
from gateway.reads import members
from gateway.settings.loading import load
from tests.e2e.known import APP_BETA
from tests.e2e.serving import Front, segment_id, serving

BETA = segment_id("voucherify", APP_BETA)
QUERY = """query($id: ID!, $first: Int) { segment(id: $id) {
  customersCount { count precision }
  customers(first: $first) { nodes { name } }
} }"""
CAPABILITIES = '{ provider(key: "voucherify") { capabilities { operation supported } } }'


class Uncounted(Voucherify):
    """Voucherify as if its documents had no way to count."""

    member_count = None  # type: ignore[assignment]  # as Python's protocols see a missing method


@pytest.fixture
def is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Voucherify be such a provider."""
    kind = registry.KINDS["voucherify"]._replace(adapter=Uncounted)
    monkeypatch.setitem(registry.KINDS, "voucherify", kind)


@pytest.fixture
async def uncounted(is_known: None) -> AsyncIterator[Front]:
    """Serve such a provider."""
    del is_known
    async with serving() as front:
        yield front


async def test_its_members_are_listed_and_counted_as_far_as_they_were_read(
    front: Front, uncounted: Front
) -> None:
    """The number is exact if one page has all; and the list is that of the provider itself."""
    variables = {"id": BETA, "first": 250}
    expected = (await front.data(QUERY, variables))["segment"]
    shown = (await uncounted.data(QUERY, variables))["segment"]
    assert shown["customers"] == expected["customers"]
    assert shown["customersCount"] == expected["customersCount"]
    assert shown["customersCount"]["precision"] == "EXACT"


async def test_a_count_of_more_than_a_page_is_a_lower_bound(
    uncounted: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing beyond one page is read to count; the total of the page is one if there is any."""
    monkeypatch.setattr(members, "COUNTED_ROWS", 3)
    shown = (await uncounted.data(QUERY, {"id": BETA, "first": 250}))["segment"]
    count = len(shown["customers"]["nodes"])
    assert shown["customersCount"] == {"count": count, "precision": "AT_LEAST"}
    assert count > 3


async def test_it_supports_members(uncounted: Front) -> None:
    """The ability to list members does not depend on a count."""
    capabilities = (await uncounted.data(CAPABILITIES))["provider"]["capabilities"]
    assert {"operation": "SEGMENT_MEMBERS", "supported": True} in capabilities


CONFIGURATION = """
[[providers]]
key = "app"
kind = "voucherify"
base_url = "sandbox:"

[[watch]]
provider = "app"
segments = ["*"]
"""


@pytest.mark.usefixtures("is_known")
def test_it_cannot_be_watched(tmp_path: Path) -> None:
    """Comparing starts from a count; the problem says so."""
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(file, {})
    text = "cannot be watched: Voucherify does not count the members of segments"
    assert raised.value.problems == (Problem("watch[0].provider", text),)
