import httpx
import pytest

from gateway.upstream.http.http1_request import HttpOrigin, field_lines, request_bytes


def test_a_request_is_its_line_its_headers_and_its_body() -> None:
    """Nothing is added but the length of the body."""
    headers = [("host", "api.test"), ("x-name", "acme")]
    assert request_bytes("DELETE", "/a%2Fb?c=d", field_lines(headers), b"[]") == (
        b"DELETE /a%2Fb?c=d HTTP/1.1\r\nhost: api.test\r\nx-name: acme\r\n"
        b"content-length: 2\r\n\r\n[]"
    )


@pytest.mark.parametrize("body", [None, b""])
@pytest.mark.parametrize(
    ("method", "length"),
    [
        ("GET", b""),
        ("DELETE", b""),
        ("POST", b"content-length: 0\r\n"),
        ("PUT", b"content-length: 0\r\n"),
    ],
)
def test_no_body_has_a_length_only_where_one_is_expected(
    method: str, length: bytes, body: bytes | None
) -> None:
    """A POST without a body says so (RFC 9110, 8.6)."""
    sent = request_bytes(method, "/", b"", body)
    assert sent == method.encode() + b" / HTTP/1.1\r\n" + length + b"\r\n"


def test_framing_is_not_taken_over() -> None:
    """A caller's chunked coding or length would contradict ours."""
    headers = [("Transfer-Encoding", "chunked"), ("Content-Length", "9")]
    assert request_bytes("PUT", "/", field_lines(headers), b"ab") == (
        b"PUT / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab"
    )


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        pytest.param("GET", "/", "x-token", "a\r\nx-admin: 1", id="line break in a value"),
        pytest.param("GET", "/", "x-token", "a\nx-admin: 1", id="line feed in a value"),
        pytest.param("GET", "/", "x-token", "a\rb", id="carriage return in a value"),
        pytest.param("GET", "/", "x-token", "a\0b", id="null in a value"),
        pytest.param("GET", "/", "x-token\r\nx-admin", "1", id="line break in a name"),
        pytest.param("GET", "/", "x-token", "caf\xe9", id="letter beyond ASCII in a value"),
        pytest.param("GET", "/", "x-token", "\u20ac", id="beyond Latin-1"),
        pytest.param("GET /x HTTP/1.1\r\nx-y: z\r\n\r\nGET", "/", "a", "b", id="method"),
        pytest.param("GET", "/ HTTP/1.1\r\nx-admin: 1", "a", "b", id="line break in a target"),
        pytest.param("GET", "/a b", "a", "b", id="space in a target"),
        pytest.param("GET", "/a#b", "a", "b", id="fragment"),
        pytest.param("GET", "/\ud800", "a", "b", id="half a character in a target"),
        pytest.param("GET", "/caf\xe9", "a", "b", id="letter beyond ASCII in a target"),
        pytest.param("GET", "no/root", "a", "b", id="no root"),
        pytest.param("GET", "", "a", "b", id="no target"),
        pytest.param("GET", "/a/../b", "a", "b", id="two dots"),
        pytest.param("GET", "/a/./b", "a", "b", id="one dot"),
        pytest.param("GET", "/a/..", "a", "b", id="two dots at the end"),
        pytest.param("GET", "/a/..?b=c", "a", "b", id="two dots before a query"),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(
    method: str, target: str, name: str, value: str
) -> None:
    """No id and no token can begin another header or request, or name another resource."""
    with pytest.raises(httpx.LocalProtocolError):
        request_bytes(method, target, field_lines([(name, value)]), None)


@pytest.mark.parametrize(
    "target", ["/a/..b", "/...", "/a.", "/%2E%2E", "/.well-known", "/a?b=/../c"]
)
def test_other_dots_are_a_name(target: str) -> None:
    """Only a part of a path that is one or two dots means something else."""
    assert request_bytes("GET", target, b"", None) == f"GET {target} HTTP/1.1\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://api.test", ("http", "api.test", 80)),
        ("https://api.test/v1", ("https", "api.test", 443)),
        ("https://api.test:8443", ("https", "api.test", 8443)),
        ("http://[::1]:8080/", ("http", "::1", 8080)),
        ("http://käse.test/", ("http", "xn--kse-qla.test", 80)),
    ],
)
def test_an_origin_is_a_urls_scheme_host_and_port(url: str, origin: tuple[str, str, int]) -> None:
    """The host as it is looked up."""
    assert HttpOrigin.of(httpx.URL(url)) == origin


@pytest.mark.parametrize("url", ["ftp://api.test/", "http:///path", "/path"])
def test_only_http_has_an_origin(url: str) -> None:
    """Another scheme, or a missing host, is refused."""
    with pytest.raises(httpx.UnsupportedProtocol):
        HttpOrigin.of(httpx.URL(url))
