"""Totals that GraphQL's Int cannot hold: null where they are shown, and all rows stand."""

import pytest

from tests.e2e.failures import answering, signed_in
from tests.e2e.serving import Front

ROW = b'{"id": "a", "name": %s, "type": "static", "created_at": "2026-01-01T00:00:00Z"}'
QUERY = """query($keys: [String!]) { segments(first: 1, filter: {providers: $keys}) {
    nodes { externalId } totalCount sources { error { code } } } }"""


@pytest.mark.parametrize("total", [2**31, 2**63, 10**30])
@pytest.mark.parametrize("provider", ["voucherify", "emporix"])
async def test_a_total_beyond_32_bits(front: Front, provider: str, total: int) -> None:
    """Neither the client's mistake nor a failure of the provider: the total alone is unknown."""
    if provider == "emporix":
        rows = b"[%s, %s]" % (ROW % b'{"en": "A"}', (ROW % b'{"en": "B"}').replace(b'"a"', b'"b"'))
        failing = answering(200, rows, x_total_count=str(total))
        front.providers.instead["emporix"] = signed_in(failing, front.providers.real("emporix"))
    else:
        rows = b"%s, %s" % (ROW % b'"A"', (ROW % b'"B"').replace(b'"a"', b'"b"'))
        body = b'{"object": "list", "data": [%s], "total": %d}' % (rows, total)
        front.providers.instead["voucherify"] = answering(200, body)
    assert await front.data(QUERY, {"keys": [provider]}) == {
        "segments": {
            "nodes": [{"externalId": "a"}],
            "totalCount": None,
            "sources": [{"error": None}],
        }
    }
