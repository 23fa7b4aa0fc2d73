"""Build the documentation site into `dist/docs`; every warning of Sphinx is an error.

The pages are those of `docs/` and some of the root. This script copies them to `dist/docs-source`,
with links as the site needs them: to pages that have moved, and to files of the repository, which
are copied beside them. Navigation is made of the lists of links in `docs/index.md` and in each
folder's `README.md`; where there is no list, of the folder's pages.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from schema_pages import schema_pages

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ENVIRONMENT = ROOT / ".venv" / "docs"
SOURCE = ROOT / "dist" / "docs-source"
SITE = ROOT / "dist" / "docs"
CONFIGURATION = DOCS / "site"
SCHEMA = ROOT / "schema.graphql"
OF_THE_ROOT = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/provider-heron/README.md": "example-provider.md",
    "examples/python/README.md": "example-python.md",
    "examples/react-apollo/README.md": "example-react-apollo.md",
    "examples/react-relay/README.md": "example-react-relay.md",
    "examples/urql/README.md": "example-urql.md",
    "bench/README.md": "benchmarks.md",
    "bench/results.md": "benchmark-results.md",
    "bench/results-faults.md": "benchmark-results-faults.md",
    "bench/results-profile.md": "benchmark-profile.md",
}
"""Pages outside of `docs/`, and where they are on the site."""

FENCE = re.compile(r"^(```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)
INFO = re.compile(r"^```(\w+) [^\n`]+$", re.MULTILINE)
LINK = re.compile(r"\[([^\]\n]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
LISTED = re.compile(r"^- \[([^\]]*)\]\(([^)#\s]+\.(?:md|graphql))\)", re.MULTILINE)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def pages() -> Mapping[Path, str]:
    """Return the files of all pages, and where each is on the site."""
    ours = {page: page.relative_to(DOCS).as_posix() for page in sorted(DOCS.rglob("*.md"))}
    others = {ROOT / name: place for name, place in OF_THE_ROOT.items()}
    return {**ours, **others, SCHEMA: "reference/schema/index.md"}


def linked(text: str, page: Path, places: Mapping[Path, str]) -> str:
    """Return a page's text with the links of the site."""
    here = Path(places[page]).parent

    def link(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        file = (page.parent / target).resolve()
        if file.is_dir():
            file /= "README.md"
        if file in places:
            place = places[file]
        elif file.is_file():
            place = f"files/{file.relative_to(ROOT).as_posix()}"
            (SOURCE / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, SOURCE / place)
        else:  # a folder without a page
            return label
        return f"[{label}]({os.path.relpath(place, here)}{anchor})"

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(link, part) for part in parts[::2]]
    # What follows the language is for the tests.
    return INFO.sub(r"```\1", "".join(parts))


def navigation(text: str, page: Path, places: Mapping[Path, str]) -> str:
    """Return the tables of contents of an index page: one for each section that lists links."""
    if page == DOCS / "index.md":
        _, *parts = HEADING.split(text)
        sections = list(zip(parts[::2], parts[1::2], strict=True))
    else:
        sections = [("", text)]
    folder = Path(places[page]).parent
    contents = []
    for caption, body in sections:
        listed = {
            (page.parent / target).resolve(): label for label, target in LISTED.findall(body)
        }
        options = [f":caption: {caption}"] if caption else []
        if not caption:  # of a folder's list, only what is in the folder
            listed = {
                each: label
                for each, label in listed.items()
                if Path(places[each]).is_relative_to(folder)
            }
        if listed or caption:
            options.append(":hidden:")  # the page has the list
        else:
            others = [each for each in sorted(page.parent.glob("*.md")) if each != page]
            listed = dict.fromkeys(others, "")
            options.append(":maxdepth: 1")
        lines = []
        for each, label in listed.items():
            path = os.path.relpath(places[each], folder)
            lines.append(f"{label} <{path}>" if label else path)
        if lines:
            contents.append("\n".join(["```{toctree}", *options, "", *lines, "```", ""]))
    return "\n".join(contents)


def prepare() -> None:
    """Write the pages to `SOURCE`."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    places = pages()
    made = schema_pages(SCHEMA.read_text(encoding="utf-8"))
    written = {f"reference/schema/{name}": text for name, text in made.items()}
    for page, place in places.items():
        if page == SCHEMA:
            continue
        text = page.read_text(encoding="utf-8")
        result = linked(text, page, places)
        if DOCS in page.parents and page.name in {"index.md", "README.md"}:
            result += "\n" + navigation(text, page, places)
        written[place] = result
    for place, text in written.items():
        file = SOURCE / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def install() -> None:
    """Create Sphinx's environment, exactly as locked."""
    print("Installing requirements/docs.lock (once) …", flush=True)
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run(
        [*uv, "venv", "--allow-existing", "--python", sys.executable, ENVIRONMENT], check=True
    )
    lock = ROOT / "requirements" / "docs.lock"
    python = ENVIRONMENT / "bin" / "python"
    subprocess.run([*uv, "pip", "sync", "--python", python, "--require-hashes", lock], check=True)
    (ENVIRONMENT / "ready").touch()


def main() -> None:
    """Install what is missing, and build."""
    ready = ENVIRONMENT / "ready"
    lock = ROOT / "requirements" / "docs.lock"
    if not ready.exists() or ready.stat().st_mtime < lock.stat().st_mtime:
        install()
    prepare()
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--jobs", "auto"]
    command = [ENVIRONMENT / "bin" / "sphinx-build", *strict, "--conf-dir", CONFIGURATION]
    built = subprocess.run([*command, "--fresh-env", SOURCE, SITE], cwd=ROOT, check=False)
    if built.returncode:
        sys.exit("The documentation has mistakes; paths are those in dist/docs-source.")
    print(f"Built {(SITE / 'index.html').relative_to(ROOT)}; open it in a browser")


if __name__ == "__main__":
    main()
