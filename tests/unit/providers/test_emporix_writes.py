from collections.abc import Callable
from typing import Any

import pytest

from gateway.domain.entities import Membership, Ref, Segment
from gateway.domain.mutations import Reason, SegmentChanges, SegmentDraft, UserError
from gateway.domain.texts import Texts
from gateway.errors import BadInput
from gateway.providers.base.exchange import Exchange, json_call
from gateway.providers.base.write_protocols import (
    AssignsCustomers,
    AssignsItems,
    CreatesSegments,
    DeletesSegments,
    ReordersSegments,
    ReplacesTags,
    UpdatesSegments,
    UpsertsSegments,
    WritesSegmentsInBulk,
)
from gateway.providers.emporix.adapter import Emporix, EmporixSettings

EMPORIX = Emporix(
    EmporixSettings.model_validate(
        {
            "key": "acme",
            "kind": "emporix",
            "base_url": "https://api.emporix.io",
            "tenant": "acme",
            "client_id": "client",
            "client_secret": "hush",
        }
    )
)
SEGMENTS = "/customer-segment/acme/segments"
IN_ALL_LANGUAGES = {"content-language": "*"}

DRAFT = SegmentDraft(key="a", name="A", site_code="main")
SEEN = SegmentDraft(key="a", name="A", site_code="main", version=1)
OFF = SegmentChanges(description="Off")
OFF_IF_SEEN = SegmentChanges(description="Off", version=1)
NOTHING = SegmentChanges(description=None)


def segment(key: str) -> Segment:
    """Return a segment of which no document is known."""
    names = Texts({"en": "A"}, default="en")
    return Segment(ref=Ref("acme", key), names=names, membership=Membership.MANUAL)


@pytest.mark.parametrize(
    "ability",
    [
        AssignsCustomers,
        AssignsItems,
        CreatesSegments,
        DeletesSegments,
        UpdatesSegments,
        UpsertsSegments,
        WritesSegmentsInBulk,
    ],
)
def test_it_writes_segments_and_who_and_what_is_in_them(ability: type) -> None:
    """Emporix offers every way of writing, but for two."""
    assert isinstance(EMPORIX, ability)


@pytest.mark.parametrize("ability", [ReordersSegments, ReplacesTags])
def test_it_ranks_nothing_and_has_no_tags(ability: type) -> None:
    """What Emporix does not have is not offered."""
    assert not isinstance(EMPORIX, ability)


@pytest.mark.parametrize(
    ("exchange", "is_idempotent"),
    [
        pytest.param(EMPORIX.create_segment(DRAFT), False, id="create"),
        pytest.param(EMPORIX.create_segments([DRAFT]), False, id="create many"),
        pytest.param(EMPORIX.upsert_segment(DRAFT), True, id="upsert"),
        pytest.param(EMPORIX.upsert_segment(SEEN), False, id="upsert over a version"),
        pytest.param(EMPORIX.upsert_segments([DRAFT]), True, id="upsert many"),
        pytest.param(EMPORIX.upsert_segments([DRAFT, SEEN]), False, id="one over a version"),
        pytest.param(EMPORIX.update_segment(segment("a"), OFF), False, id="patch"),
        pytest.param(EMPORIX.update_segment(segment("a"), OFF_IF_SEEN), False, id="rewrite"),
        pytest.param(EMPORIX.update_segment(segment("a"), NOTHING), True, id="no change"),
        pytest.param(EMPORIX.delete_segment("a", force=False), True, id="delete"),
        pytest.param(EMPORIX.delete_segments(["a"], force=True), True, id="delete many"),
    ],
)
def test_only_what_may_be_repeated_is_idempotent(
    exchange: Exchange[Any], *, is_idempotent: bool
) -> None:
    """A write over a version would be refused by what it has done itself."""
    assert exchange.is_idempotent is is_idempotent


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda: EMPORIX.upsert_segment(SegmentDraft(key="bulk")), id="upsert"),
        pytest.param(lambda: EMPORIX.update_segment(segment("bulk"), OFF), id="update"),
        pytest.param(lambda: EMPORIX.delete_segment("bulk", force=True), id="delete"),
    ],
)
def test_no_write_of_one_becomes_a_write_of_many(write: Callable[[], object]) -> None:
    """A segment that has the name of the bulk calls is not written to at all."""
    with pytest.raises(BadInput):
        write()


def test_a_segment_of_no_document_is_patched_by_additions() -> None:
    """Where it is not known what is there, nothing is replaced and nothing removed."""
    changes = SegmentChanges(site_code="main", attributes={}, descriptions=None)
    patch = [
        {"op": "add", "path": "/siteCode", "value": "main"},
        {"op": "add", "path": "/mixins", "value": {}},
    ]
    call = EMPORIX.update_segment(segment("a"), changes).call
    assert call == json_call("PATCH", f"{SEGMENTS}/a", patch, headers=IN_ALL_LANGUAGES)


@pytest.mark.parametrize(
    "tag",
    [
        "en",
        "EN",
        "fil",
        "pt-BR",
        "es-419",
        "zh-Hant-TW",
        "zh-yue-HK",
        "sl-rozaj-biske",
        "de-CH-1996",
        "de-DE-u-co-phonebk",
        "en-US-x-twain",
        "x-acme",
    ],
)
def test_a_language_tag_is_taken(tag: str) -> None:
    """All that RFC 5646 calls well-formed and that begins with a language there may be."""
    draft = SegmentDraft(names={tag: "A"}, site_code="main")
    assert EMPORIX.create_problems(draft) == []


@pytest.mark.parametrize(
    "tag",
    ["", "e", "en_US", "en-", "-en", "en US", "english", "*", "en-x", "en-a", "1", "en\n", "дe"],
)
def test_what_is_no_language_tag_is_refused(tag: str) -> None:
    """The error names the text."""
    draft = SegmentDraft(names={"en": "A", tag: "A"}, site_code="main")
    message = "This is not a language tag (BCP 47) such as en or pt-BR."
    where = ("names", "1", "language")
    assert EMPORIX.create_problems(draft) == [UserError(message, Reason.INVALID, where, "acme")]
