"""What a browser and an operator ask: the page, the examples, health."""

from pathlib import Path

import pytest

from tests.e2e.asking import JSON, refusal
from tests.e2e.failures import FAILURES, signed_in
from tests.e2e.serving import PROVIDERS, Front, Providers, serving

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
BUILT = "<!doctype html><title>GraphiQL</title>"


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the built pages: empty."""
    for module in PAGE_MODULES:
        monkeypatch.setattr(module, tmp_path)
    return tmp_path


PAGE_MODULES = ("gateway.http.app.PAGES",)
"""Where the folder of the pages is known."""


@pytest.mark.parametrize("accept", ["text/html", CHROMIUM])
async def test_graphiql(front: Front, pages: Path, accept: str) -> None:
    """A browser is shown GraphiQL, which may load nothing from elsewhere."""
    (pages / "index.html").write_text(BUILT, encoding="utf-8")

    reply = await front.client.get("/graphql", headers={"accept": accept})

    assert (reply.status_code, reply.text) == (200, BUILT)
    assert reply.headers["content-type"].startswith("text/html")
    policy = reply.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("pages")
async def test_pages_that_are_not_built(front: Front) -> None:
    """Without the built pages a browser gets instructions; the API works."""
    reply = await front.client.get("/graphql", headers={"accept": "text/html"})

    assert reply.status_code == 503
    message = "The pages are not built; run `make serve` or `make pages`."
    assert refusal(reply) == (503, JSON, message, "BAD_USER_INPUT")
    assert await front.data('{ provider(key: "x") { key } }') == {"provider": None}


@pytest.mark.parametrize(
    "path", ["/", "/segments", "/segments/a%2Fb", "/person", "/compare", "/import"]
)
async def test_the_other_pages(front: Front, pages: Path, path: str) -> None:
    """Each is the same file, under the same policy as GraphiQL."""
    assert (await front.client.get(path)).status_code == 503
    (pages / "pages.html").write_text("<!doctype html>")

    reply = await front.client.get(path)

    assert (reply.status_code, reply.text) == (200, "<!doctype html>")
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")


async def test_examples_run_as_they_are() -> None:
    """Every example runs against the sandbox without an error, and shows its calls."""
    async with serving(Providers()) as front:  # one of them writes
        reply = await front.client.get("/examples.json")
        examples = reply.json()
        answers = {
            each["name"]: await front.client.post(
                "/graphql",
                json={"query": each["query"], "variables": each["variables"]},
                headers=each["headers"],
            )
            for each in examples
            if "\nsubscription " not in each["query"]
        }

    assert reply.headers["content-type"] == "application/json"
    assert len({example["name"] for example in examples}) == len(examples)
    # It is run by the browser's tests.
    assert [each["name"] for each in examples if each["name"] not in answers] == ["changes"]
    for name, response in answers.items():
        answer = response.json()
        assert "errors" not in answer, (name, answer["errors"])
        assert answer["extensions"]["upstreamCalls"] is not None


async def test_alive(front: Front) -> None:
    """The process tells that it is alive, whatever its providers do."""
    reply = await front.client.get("/livez")

    assert (reply.status_code, reply.json()) == (200, {"status": "alive"})


async def test_ready(front: Front, pages: Path) -> None:
    """Ready means that the pages are there; a provider that is down is shown, and no reason."""
    query = "{ segments { nodes { id } } }"
    unbuilt = await front.client.get("/readyz")
    (pages / "index.html").write_text(BUILT, encoding="utf-8")
    await front.data(query)
    ready = await front.client.get("/readyz")
    down = signed_in(FAILURES["500"].server, front.providers.real("stuut"))
    front.providers.instead["stuut"] = down
    await front.data(query)
    await front.data(query)
    shaken = await front.client.get("/readyz")

    def statuses(body: dict[str, list[dict[str, str]]]) -> dict[str, str]:
        return {row["key"]: row["status"] for row in body["providers"]}

    assert (unbuilt.status_code, ready.status_code, shaken.status_code) == (503, 200, 200)
    assert ready.json()["status"] == shaken.json()["status"] == "ready"
    assert statuses(ready.json()) == {
        "stuut": "UP",
        "voucherify": "UP",
        "instaleap": "UNKNOWN",
        "emporix": "UP",
    }
    assert statuses(shaken.json()) == {**statuses(ready.json()), "stuut": "DOWN"}
    assert list(statuses(ready.json())) == list(PROVIDERS)


@pytest.mark.parametrize(
    "path", ["/nothing", "/graphql/x", "/static/nothing.js", "/static/../app.py", "/%2e%2e/etc"]
)
async def test_paths_that_there_are_not(front: Front, path: str) -> None:
    """Nothing else is served."""
    reply = await front.client.get(path, follow_redirects=False)

    assert reply.status_code in {307, 404}
    assert "import" not in reply.text


@pytest.mark.parametrize("path", ["/nothing", "/graphql/x", "/static/nothing"])
async def test_no_such_page(front: Front, pages: Path, path: str) -> None:
    """A browser is shown the page, which says so; caches keep it apart from what others get."""
    (pages / "pages.html").write_text("<!doctype html>")

    shown = await front.client.get(path, headers={"accept": CHROMIUM})
    head = await front.client.head(path, headers={"accept": CHROMIUM})

    assert (shown.status_code, shown.text) == (404, "<!doctype html>")
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-security-policy"].startswith("default-src 'none'; script-src")
    assert (shown.headers["cache-control"], shown.headers["vary"]) == ("no-cache", "accept")
    assert (head.status_code, head.text, head.headers) == (404, "", shown.headers)


@pytest.mark.parametrize(
    ("method", "accept"),
    [
        ("GET", "*/*"),
        ("GET", "application/json, text/html;q=0.5"),
        ("GET", "image/png"),
        ("GET", "text/html;q=0"),
        ("POST", CHROMIUM),
    ],
)
async def test_no_such_path(front: Front, pages: Path, method: str, accept: str) -> None:
    """Programs get one line of text."""
    (pages / "pages.html").write_text("<!doctype html>")

    reply = await front.client.request(method, "/nothing", headers={"accept": accept})

    assert (reply.status_code, reply.text) == (404, "Not Found")
    assert (reply.headers["content-type"], reply.headers["vary"]) == (
        "text/plain; charset=utf-8",
        "accept",
    )


@pytest.mark.usefixtures("pages")
async def test_no_such_page_and_none_at_all(front: Front) -> None:
    """Without the built pages, a browser gets that line, too."""
    reply = await front.client.get("/nothing", headers={"accept": CHROMIUM})

    assert (reply.status_code, reply.text) == (404, "Not Found")
