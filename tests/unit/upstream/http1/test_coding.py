import contextlib
import gzip
import itertools
import zlib
from collections.abc import Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.http.decompression import ALWAYS_ALLOWED_BYTES, MAX_PART_BYTES, inflater

BODY = b'{"name": "Ada"}' * 100


def _bare(body: bytes) -> bytes:
    """Return deflate without the frame of zlib, as some servers send it."""
    return zlib.compress(body)[2:-4]


def _whole(coding: bytes, *parts: bytes) -> bytes:
    stream = inflater([(b"Content-Encoding", coding)])
    assert stream is not None
    whole = b"".join(piece for part in parts for piece in stream.parts(part))
    stream.finish()
    return whole


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        pytest.param(b"gzip", gzip.compress(BODY), id="gzip"),
        pytest.param(b"X-GZIP", gzip.compress(BODY), id="gzip by its old name"),
        pytest.param(
            b"gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), id="two in a row"
        ),
        pytest.param(b"deflate", zlib.compress(BODY), id="deflate"),
        pytest.param(b"deflate", _bare(BODY), id="bare deflate"),
    ],
)
def test_any_cut_of_a_body_is_the_same_body(coding: bytes, sent: bytes) -> None:
    """Wherever the network cuts it, once or after every byte."""
    for at in range(len(sent) + 1):
        assert _whole(coding, sent[:at], sent[at:]) == BODY
    assert _whole(coding, *(bytes([byte]) for byte in sent)) == BODY


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_a_body_without_a_byte_is_empty(coding: bytes) -> None:
    """Responses to HEAD, 204 and 304 may name a coding."""
    assert _whole(coding) == b""


@pytest.mark.parametrize("headers", [[], [(b"content-encoding", b"identity")]])
def test_nothing_is_undone_unless_told(headers: list[tuple[bytes, bytes]]) -> None:
    """No coding, or one by the name of none."""
    assert inflater(headers) is None


@pytest.mark.parametrize(
    "codings", [[b"br"], [b"zstd"], [b"gzip, gzip"], [b"gzip", b"gzip"], [b""]]
)
def test_another_coding_is_an_error(codings: list[bytes]) -> None:
    """The coding was not requested, and the body could not be read."""
    with pytest.raises(httpx.RemoteProtocolError):
        inflater([(b"content-encoding", coding) for coding in codings])


@pytest.mark.parametrize("size", [MAX_PART_BYTES, MAX_PART_BYTES + 1, 4 * MAX_PART_BYTES - 1])
def test_no_part_is_large(size: int) -> None:
    """A megabyte of nothing is a kilobyte of gzip: a reader counts, and may stop."""
    stream = inflater([(b"content-encoding", b"gzip")])
    assert stream is not None
    sizes = [len(part) for part in stream.parts(gzip.compress(b"\0" * size))]
    stream.finish()
    assert (sum(sizes), max(sizes)) == (size, MAX_PART_BYTES)


ROW = '{"id": "%024d", "name": {"en": "Golden members"}, "status": "ACTIVE", "siteCode": "main"}, '


def test_rows_that_repeat_each_other_are_no_bomb() -> None:
    """However many: only their ids differ."""
    body = "".join(ROW % number for number in range(100_000)).encode()
    assert _whole(b"gzip", gzip.compress(body)) == body


@pytest.mark.parametrize("members", [1, 20], ids=["one member", "several"])
@pytest.mark.parametrize("cut", [100, 20_000], ids=["in small pieces", "in large ones"])
def test_a_bomb_is_an_error_after_a_megabyte(members: int, cut: int) -> None:
    """Reading twenty megabytes of zeros stops after one of them."""
    sent = gzip.compress(b"\0" * (20 * ALWAYS_ALLOWED_BYTES // members)) * members
    read: list[int] = []
    with pytest.raises(httpx.DecodingError):
        _count(read, [sent[start : start + cut] for start in range(0, len(sent), cut)])
    assert sum(read) <= ALWAYS_ALLOWED_BYTES


def _count(read: list[int], pieces: Sequence[bytes]) -> None:
    """Keep the sizes of the parts of a body that arrives in these pieces."""
    stream = inflater([(b"content-encoding", b"gzip")])
    assert stream is not None
    for piece in pieces:
        read += map(len, stream.parts(piece))


@pytest.mark.parametrize("size", [MAX_PART_BYTES - 1, MAX_PART_BYTES, MAX_PART_BYTES + 1])
def test_members_in_a_row_may_be_large(size: int) -> None:
    """Wherever a member ends among the parts, the next one follows it, once."""
    member = gzip.compress(b"\0" * size)
    empty = gzip.compress(b"")
    stream = inflater([(b"content-encoding", b"gzip")])
    assert stream is not None
    sent = member + empty + member + member + empty
    sizes = [len(part) for part in itertools.islice(stream.parts(sent), 7)]
    stream.finish()
    assert (sum(sizes), max(sizes)) == (3 * size, min(size, MAX_PART_BYTES))


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        pytest.param(b"gzip", b"not compressed", id="no gzip"),
        pytest.param(b"deflate", b"not compressed", id="no deflate"),
        pytest.param(b"gzip", gzip.compress(BODY)[:-1], id="cut short"),
        pytest.param(b"gzip", gzip.compress(BODY)[:5], id="cut in its head"),
        pytest.param(b"gzip", gzip.compress(BODY)[:-8] + b"\0" * 8, id="wrong sum"),
        pytest.param(b"gzip", gzip.compress(BODY) + b"more", id="something behind"),
        pytest.param(b"deflate", zlib.compress(BODY) + b"more", id="something behind deflate"),
    ],
)
def test_a_bad_body_is_an_error(coding: bytes, sent: bytes) -> None:
    """Never half a body."""
    with pytest.raises(httpx.RemoteProtocolError):
        _whole(coding, sent)


@given(st.sampled_from([b"gzip", b"deflate"]), st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_are_a_body_or_an_error(coding: bytes, parts: list[bytes]) -> None:
    """No other exception, and no endless loop."""
    with contextlib.suppress(httpx.RemoteProtocolError):
        assert isinstance(_whole(coding, *parts), bytes)
