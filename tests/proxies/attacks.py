"""Requests that two servers may read differently: each hides another request in what it sends.

By the classes of public research on HTTP desynchronisation (CL.TE, TE.CL, TE.TE, CL.0, upgrades,
`Expect`, early answers, chunk extensions, bare line feeds, folded lines); the bytes are ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from tests.proxies.processes import HOST

GREASE = b"\r\n" * 300_000
"""Empty lines, which servers skip before a request: more than one read of the gateway's."""


def document(mark: str) -> str:
    """Return a query that brings about one call, and an answer, with this mark."""
    customer = f'customer(identity: {{provider: "voucherify", externalId: "{mark}"}})'
    return f"{{ {mark}: {customer} {{ name }} }}"


def body_of(mark: str) -> bytes:
    """Return the query as the body of a POST."""
    escaped = document(mark).replace('"', '\\"')
    return f'{{"query":"{escaped}"}}'.encode()


def request(*lines: bytes, body: bytes = b"") -> bytes:
    """Return a request of these lines."""
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def whole(mark: str, key: str) -> bytes:
    """Return a hidden request that is complete: its answer would be somebody else's."""
    body = body_of(mark)
    return request(
        b"POST /graphql HTTP/1.1",
        *heads(key),
        b"Content-Length: %d" % len(body),
        body=body,
    )


def prefix(mark: str) -> bytes:
    """Return the beginning of a hidden request: the next caller's head, and key, would end it."""
    target = "/graphql?query=" + quote(document(mark), safe="")
    return f"GET {target} HTTP/1.1\r\nAccept: application/json\r\nX-Rest: ".encode()


def heads(key: str | None) -> Sequence[bytes]:
    """Return the lines of an ordinary request, with a key or without."""
    lines = [b"Host: " + HOST.encode(), b"Content-Type: application/json"]
    return lines if key is None else [*lines, f"Authorization: Bearer {key}".encode()]


POST = b"POST /graphql HTTP/1.1"
GET = b"GET /graphql HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: <size>"
CHUNK = b"<hex>\r\n<hidden>\r\n"
SHOWN_CHUNK = b"<shown hex>\r\n<shown>\r\n"
END = b"0\r\n\r\n"


class Attack(NamedTuple):
    """A request of the attacker, with places for what is hidden in it.

    `<hidden>` is a request, or the beginning of one, `<size>` and `<hex>` its length, and
    `<short>` that of the line before it in a chunk. `<shown>` is the query that is not hidden.
    """

    lines: tuple[bytes, ...] = ()
    body: bytes = b"<hidden>"
    first: bytes = POST
    has_length: bool = True
    """The true length of the body goes behind the lines."""
    is_split: bool = False
    """Head and body are sent one after the other."""

    def pieces(self, shown: bytes, hidden: bytes, usual: Sequence[bytes]) -> Sequence[bytes]:
        """Return what is sent, in writes of their own; `usual` are the headers of any request."""
        size = b"%x" % len(hidden)
        places = {
            b"<hidden>": hidden,
            b"<size>": b"%d" % len(hidden),
            b"<hex>": size,
            b"<short>": b"%d" % len(size + b"\r\n"),
            b"<shown>": shown,
            b"<shown hex>": b"%x" % len(shown),
        }

        def filled(text: bytes) -> bytes:
            for place, value in places.items():
                text = text.replace(place, value)
            return text

        body = filled(self.body)
        lines = [*usual, *map(filled, self.lines)]
        if self.has_length:
            lines.append(b"Content-Length: %d" % len(body))
        head = request(self.first, *lines)
        return [head, body] if self.is_split else [head + body]


Attacks = Iterator[tuple[str, Attack]]


def upgrades() -> Attacks:
    """Yield upgrades that no server takes: RFC 9110, 7.8 has them ignored, and the body read."""
    connections = (b"Upgrade", b"keep-alive, upgrade", b"Upgrade, HTTP2-Settings")
    protocols = (b"h2c", b"websocket", b"TLS/1.0", b"h2c, websocket", b"WebSocket", b"x/1", b"")
    for protocol in protocols:
        for connection in connections:
            lines = (b"Connection: " + connection, b"Upgrade: " + protocol)
            name = f"upgrade {protocol.decode()!r} by {connection.decode()!r}"
            yield f"{name}, whole", Attack(lines)
            yield f"{name}, split", Attack(lines, is_split=True)
    for protocol in (b"h2c", b"websocket"):
        for name, attack in _upgrades_to(protocol):
            yield f"upgrade {protocol.decode()!r}, {name}", attack


def _upgrades_to(protocol: bytes) -> Attacks:
    lines = (b"Connection: upgrade", b"Upgrade: " + protocol)
    handshake = (
        *lines,
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Protocol: graphql-transport-ws",
    )
    good = (*handshake, b"Sec-WebSocket-Version: 13")
    settings = (*lines, b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
    grease = b"%x\r\n%b\r\n" % (len(GREASE), GREASE)
    attacks = {
        "settings": Attack(settings),
        "greased": Attack(lines, GREASE + b"<hidden>"),
        "chunked": Attack((*lines, CHUNKED), CHUNK + END, has_length=False),
        "chunked and greased": Attack((*lines, CHUNKED), grease + CHUNK + END, has_length=False),
        "handshake by POST": Attack(good),
        "handshake with a body": Attack(good, first=GET),
        "handshake with chunks": Attack((*good, CHUNKED), CHUNK + END, GET, has_length=False),
        "handshake of another version": Attack(
            (*handshake, b"Sec-WebSocket-Version: 7"), first=GET
        ),
        "without connection": Attack(lines[1:]),
        "HTTP/1.0": Attack(lines, first=b"POST /graphql HTTP/1.0"),
        "at another path": Attack(lines, first=b"POST /livez HTTP/1.1"),
    }
    for name, attack in attacks.items():
        yield name, attack._replace(is_split=True)


def lengths() -> Attacks:
    """Yield two lengths, none, or one that is not quite a number."""
    yield "length 0 and the true one", Attack((b"Content-Length: 0",))
    yield "the true length and 0", Attack((LENGTH, b"Content-Length: 0"), has_length=False)
    yield "the same length twice", Attack((LENGTH,))
    forms = ("+<size>", "-<size>", "<size>,", "0x<hex>", "<size>_0", "0<size>", "<size> 0")
    odd = (
        "<size>.0",
        "\x0b<size>",
        '"<size>"',
        "<size>;",
        "18446744073709551616<size>",
        "²<size>",
    )
    for form in (*forms, *odd, "0, <size>"):
        line = f"Content-Length: {form}".encode("latin-1")
        yield f"length {form!r}", Attack((line,), has_length=False)
    for name in (b"Content-Length :", b"Content_Length:", b" Content-Length:", b"Content-Length"):
        line = name + b" <size>"
        yield f"length by the name {name.decode()!r}", Attack((line,), has_length=False)
    for separator in (b"\n", b"\r", b"\r\r\n", b"\x00", b"\r\n "):
        line = b"X-Line: x" + separator + LENGTH
        yield f"length behind {separator.decode()!r}", Attack((line,), has_length=False)
    yield "a folded length", Attack((b"Content-Length:\r\n <size>",), has_length=False)
    for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE", b"PUT"):
        for path in (b"/graphql", b"/livez", b"/nowhere"):
            first = b"%b %b HTTP/1.1" % (method, path)
            yield f"{first.decode()} with a body", Attack(first=first, is_split=True)


CODINGS = (
    CHUNKED,
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: cHuNkEd",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: , chunked",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: chun\x00ked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding:\n chunked",
    b"X-Line: x\nTransfer-Encoding: chunked",
    b"X-Line: x\rTransfer-Encoding: chunked",
    b"X-Line: x\r\n Transfer-Encoding: chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    b"Connection: Content-Length\r\nTransfer-Encoding: chunked",
    b"TE: chunked\r\nTransfer-Encoding: chunked",
)


def codings() -> Attacks:
    """Yield a length beside a transfer coding, and codings that are not quite `chunked`."""
    for line in CODINGS:
        name = repr(line.decode())
        yield f"length, and {name}", Attack((line,), END + b"<hidden>")
        short = (b"Content-Length: <short>", line)
        yield f"short length, and {name}", Attack(short, CHUNK + END, has_length=False)
        yield f"{name} alone", Attack((line,), SHOWN_CHUNK + END, has_length=False)
    old = b"POST /graphql HTTP/1.0"
    yield "chunks of HTTP/1.0", Attack((CHUNKED,), END + b"<hidden>", old)
    yield "GET in chunks", Attack((CHUNKED,), CHUNK + END, GET, has_length=False, is_split=True)


def chunks() -> Attacks:
    """Yield chunks whose sizes and ends are not quite right."""
    sizes = ("0x<hex>", "+<hex>", "-<hex>", " <hex>", "<hex> ", "<hex>\t", "<hex>_0", "<hex>g", "")
    large = ("10000000000000000<hex>", "ffffffffffffffff<hex>", "00000000000000000000<hex>")
    extended = ("<hex>;a=b", "<hex>;a=\nb", "<hex>;a=\rb", '<hex>;a="\r\nb"', "<hex>\x00")
    for size in (*sizes, *large, *extended, "<hex>;" + "a" * 20_000):
        body = size.encode() + b"\r\n<hidden>\r\n" + END
        yield f"chunk size {size[:30]!r}", Attack((CHUNKED,), body, has_length=False)
    for end in (b"\n", b"\r", b"", b"xx", b"\r\r\n", b"\n\r\n"):
        body = b"<shown hex>\r\n<shown>" + end + END
        yield f"chunk that ends with {end.decode()!r}", Attack((CHUNKED,), body, has_length=False)
    for end in (b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"0\r\r", b"00\r\n\r\n", b"0;x\r\n\r\n"):
        attack = Attack((CHUNKED,), SHOWN_CHUNK + end, has_length=False)
        yield f"chunks that end with {end.decode()!r}", attack
    trailers = (b"Content-Length: 5", CHUNKED, b"Host: other", b"x", b"X: <hidden>")
    for trailer in trailers:
        body = SHOWN_CHUNK + b"0\r\n" + trailer + b"\r\n\r\n"
        yield f"trailer {trailer.decode()!r}", Attack((CHUNKED,), body, has_length=False)
    body = b"2;\nxx\r\n" + CHUNK + END
    yield "a line feed in a chunk extension", Attack((CHUNKED,), body, has_length=False)


def early_answers() -> Attacks:
    """Yield requests that are refused by their heads, while the body is still to come."""
    refused: Mapping[str, tuple[bytes, ...]] = {
        "a content coding": (b"Content-Encoding: gzip",),
        "what is acceptable": (b"Accept: image/png",),
        "another site": (b"Origin: https://evil.example", b"Sec-Fetch-Site: cross-site"),
        "wrong credentials": (b"Authorization: Bearer wrong",),
        "an expectation": (b"Expect: 100-continue",),
        "an odd expectation": (b"Expect: y 100-continue",),
        "another expectation": (b"Expect: 200-ok",),
        "large headers": (b"X-Large: " + b"x" * 40_000,),
        "many headers": tuple(b"X-%d: x" % number for number in range(300)),
        "closing": (b"Connection: close",),
        "closing by a list": (b"Connection: close, x-other",),
        "headers of one hop": (b"Connection: authorization, content-length, host",),
    }
    for name, lines in refused.items():
        yield f"refused for {name}", Attack(lines, is_split=True)
    much = b" " * 1_200_000
    yield "refused as too large", Attack(body=b"<hidden>" + much + b"<hidden>", is_split=True)
    yield (
        "refused as too large, in chunks",
        Attack(
            (CHUNKED,),
            b"%x\r\n%b\r\n" % (len(much), much) + CHUNK + END,
            has_length=False,
            is_split=True,
        ),
    )
    endless = (b"Content-Length: 99999999999",)
    yield "a length without end", Attack(endless, has_length=False, is_split=True)


def targets() -> Attacks:
    """Yield targets, first lines and headers of every form."""
    host = HOST.encode()
    firsts = (
        b"POST http://%b/graphql HTTP/1.1" % host,
        b"POST http://other.example/graphql HTTP/1.1",
        b"POST http://%b@other.example/graphql HTTP/1.1" % host,
        b"POST //other.example/graphql HTTP/1.1",
        b"POST graphql HTTP/1.1",
        b"POST * HTTP/1.1",
        b"POST /graphql\tHTTP/1.1",
        b"POST  /graphql HTTP/1.1",
        b"POST /graphql  HTTP/1.1",
        b"POST /graphql HTTP/1.1 ",
        b"POST /graphql HTTP/1.1\rX: y",
        b"POST /graphql?a=%0d%0aHost:%20other HTTP/1.1",
        b"POST /graphql#x HTTP/1.1",
        b"POST /graphql\x00 HTTP/1.1",
        b"POST /graphql HTTP/1.9",
        b"POST /graphql HTTP/2.0",
        b"POST /graphql HTTP/0.9",
        b"POST /graphql http/1.1",
        b"POST /graphql",
        b"POST /graphql HTTP/1.1\nX-Line: y",
        b"post /graphql HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"CONNECT %b:80 HTTP/1.1" % host,
        b"CONNECT /graphql HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"\r\nPOST /graphql HTTP/1.1",
        b"\nPOST /graphql HTTP/1.1",
        b"\x16\x03\x01POST /graphql HTTP/1.1",
    )
    for first in firsts:
        yield f"first line {first.decode()!r}", Attack(first=first, is_split=True)
    for line in (
        b"Host: other.example",
        b"Host : x",
        b": x",
        b"X\x00: y",
        b"no colon",
        b"X: \x7f",
    ):
        yield f"line {line.decode()!r}", Attack((line,), is_split=True)


ATTACKS: Mapping[str, Attack] = dict(
    [*upgrades(), *lengths(), *codings(), *chunks(), *early_answers(), *targets()]
)
FRAMED = ("upgrade", "refused", "GET ", "HEAD ", "OPTIONS ", "DELETE ", "PUT ", "TRACE ")
"""How the names of attacks begin whose framing is beyond doubt: what they hide is a body."""

PIPELINED = frozenset({"short length, and 'Transfer_Encoding: chunked'"})
"""Attacks that have a length and nothing else: what they hide is the attacker's next request."""
