"""The provider's own document of a row."""

from gateway.domain.entities import Membership, Ref, Segment
from gateway.domain.texts import plain
from tests.unit.resolvers.executing import RecordingReads, ask


async def test_a_document_is_shown_as_it_is_or_is_the_providers_fault() -> None:
    """What nobody had to read of a reply may be no JSON: that row alone shows it."""
    documents = (b'{"n": 1.5, "more": [null, "\xc3\xa9"]}', b'{"n": "\xff"}', None)
    rows = [
        Segment(ref=Ref("a", "1"), names=plain("A"), membership=Membership.RULE, raw=document)
        for document in documents
    ]
    response = await ask("{ segments { nodes { raw } } }", RecordingReads(rows))
    assert response["data"]["segments"]["nodes"] == [
        {"raw": {"n": 1.5, "more": [None, "é"]}},
        {"raw": None},
        {"raw": None},
    ]
    (error,) = response["errors"]
    assert (error["path"], error["extensions"]["code"]) == (
        ["segments", "nodes", 1, "raw"],
        "PROVIDER_MALFORMED",
    )
