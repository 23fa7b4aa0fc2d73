"""Upgrade requests: only a WebSocket handshake is taken, every other message is read as it is.

RFC 9110, 7.8: a server ignores an Upgrade that it does not take. llhttp does not: behind such a
head it reads no body, and stops. What follows would be read as the next request, though it is the
body of this one (request smuggling).
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UpgradingHttp(HttpToolsProtocol):
    """HTTP/1.1, with WebSocket as its only upgrade.

    The parser calls back for the head of an upgrade as for any other. Those callbacks are ignored
    until it stops behind the head: then the handshake is taken, or a new parser reads the same
    head without `Upgrade`, and what follows it.
    """

    def data_received(self, data: bytes) -> None:
        """Read a part of a request, or of several."""
        self._unset_keepalive_if_required()
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError:
                self.send_400_response("")
            except httptools.HttpParserUpgrade as stop:
                rest = data[stop.args[0] :]
                if self._is_handshake():
                    self.take_handshake(rest)
                elif self.parser.get_method() == b"CONNECT":
                    self.send_400_response("")
                else:
                    data = self._read_as_it_is() + rest
                    continue
            return

    def take_handshake(self, rest: bytes) -> None:
        """Hand the connection over to WebSocket, with the bytes behind the head."""
        raise NotImplementedError

    def _is_handshake(self) -> bool:
        """Tell whether the head is a WebSocket handshake: a GET without a body (RFC 6455, 4.1)."""
        headers = dict(self.headers)
        upgrades = [value.lower() for name, value in self.headers if name == b"upgrade"]
        return (
            upgrades == [b"websocket"]
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and headers.get(b"content-length", b"0") == b"0"
            and b"transfer-encoding" not in headers
        )

    def _read_as_it_is(self) -> bytes:
        """Start a new parser; return the head that it has to read, without `Upgrade`."""
        version = self.parser.get_http_version().encode()
        first = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
        kept = [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
        self.parser = new_parser(self)
        return b"".join((first, *kept, b"\r\n"))


def new_parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    """Return a parser as uvicorn makes them."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
