"""Installed packages are pinned by hash, listed in an SBOM, and looked up for vulnerabilities."""

import base64
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

pytestmark = pytest.mark.no_fast_paths

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("serve", "dev", "node", "example-python")
NPM_PROJECTS = sorted(
    each.parent.relative_to(ROOT)
    for pattern in ("web", "tests/clients", "tests/clients/federation", "examples/*")
    for each in ROOT.glob(f"{pattern}/package-lock.json")
)


def lock(name: str) -> str:
    """Return a lock."""
    return (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")


def tool(name: str) -> Any:
    """Return a script of `tools/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pinned(name: str) -> dict[str, set[str]]:
    """Return the hashes of each `name==version` of a lock, read line by line."""
    packages: dict[str, set[str]] = {}
    of: set[str] = set()
    for line in lock(name).splitlines()[1:]:
        if not line.startswith(" "):
            # Extras do not change what is installed under a name.
            of = packages.setdefault(re.sub(r"\[.*\]", "", line.split()[0]), set())
        else:
            of.add(line.strip().removesuffix(" \\").removeprefix("--hash=sha256:"))
    return packages


@pytest.mark.parametrize("name", LOCKS)
def test_every_python_package_is_held_to_its_hashes(name: str) -> None:
    """One version each, and no way to install anything else under its name."""
    packages = pinned(name)
    assert packages
    for package, hashes in packages.items():
        assert re.fullmatch(r"[a-z0-9-]+==[^=\s]+", package)
        assert hashes
        assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("project", NPM_PROJECTS, ids=str)
def test_every_package_of_npm_is_held_to_its_hash(project: Path) -> None:
    """The same for the pages, the clients of the tests, and the examples."""
    packages = json.loads((ROOT / project / "package-lock.json").read_text(encoding="utf-8"))
    loose = [
        path
        for path, package in packages["packages"].items()
        if path and not package.get("integrity", "").startswith("sha512-")
    ]
    assert loose == []


def test_the_sbom_lists_what_is_served() -> None:
    """Sound by CycloneDX's own schema; each package once, with all hashes of its lock."""
    printed = subprocess.run(
        [sys.executable, "tools/sbom.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(printed) is None
    bom = json.loads(printed)
    assert bom["metadata"]["component"]["name"] == "segment-gateway"
    components = [
        (each["purl"], {hash_["content"] for hash_ in each["hashes"]})
        for each in bom["components"]
    ]
    python = {f"pkg:pypi/{name.replace('==', '@')}": h for name, h in pinned("serve").items()}
    assert dict(components) == python | of_pages()
    assert len(components) == len(dict(components))


def of_pages() -> dict[str, set[str]]:
    """Return the packages that the pages are made of, by their purl."""
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8"))
    return {
        f"pkg:npm/{path.rpartition('node_modules/')[2].replace('@', '%40')}@{each['version']}": {
            base64.b64decode(each["integrity"].removeprefix("sha512-")).hex()
        }
        for path, each in packages["packages"].items()
        if path and not each.get("dev")
    }


VULNERABLE = {
    "dependencies": [
        {"name": "good", "version": "1.0", "vulns": []},
        {
            "name": "bad",
            "version": "2.0",
            "vulns": [
                {"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.1"]},
                {"id": "PYSEC-2", "aliases": [], "fix_versions": []},
            ],
        },
        {"name": "ours", "skip_reason": "not there"},
    ]
}
PAGES = {
    "vulnerabilities": {
        "vite": {
            "via": [
                {
                    "name": "vite",
                    "range": "<8.4",
                    "url": "https://github.com/advisories/GHSA-1",
                    "severity": "high",
                },
                "esbuild",
            ]
        }
    },
    "metadata": {"dependencies": {"total": 150}},
}


def test_vulnerabilities_are_found() -> None:
    """Each is one line, with the version that mends it."""
    audit = tool("audit")
    assert audit.of_python(VULNERABLE) == (
        2,
        1,
        ["bad 2.0: PYSEC-1 (fixed in 2.1)", "bad 2.0: PYSEC-2 (fixed in no version)"],
    )
    assert audit.of_pages(PAGES) == (150, 0, ["vite <8.4: GHSA-1 (high)"])


def test_an_accepted_vulnerability_is_passed_over() -> None:
    """By any of its ids, and only that one."""
    audit = tool("audit")
    audit.ACCEPTED.update({"CVE-2026-1": "a test", "GHSA-1": "a test"})
    assert audit.of_python(VULNERABLE).vulnerabilities == [
        "bad 2.0: PYSEC-2 (fixed in no version)"
    ]
    assert audit.of_pages(PAGES).vulnerabilities == []


@pytest.mark.parametrize(
    "report",
    [None, {"dependencies": [{"name": "a", "skip_reason": "Dependency not found"}]}],
    ids=["no answer", "a registry without advisories"],
)
def test_what_nobody_looked_up_is_not_called_well(
    report: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even where pip-audit says so itself."""
    audit = tool("audit")
    assert audit.report("x.lock", audit.of_python(report)) == []
    line = "x.lock: skipped: no network, or no advisory service\n"
    assert capsys.readouterr().out == line


def test_a_vulnerability_fails_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends with another status, and says what was found."""
    audit = tool("audit")
    monkeypatch.setattr(audit, "python", lambda _: audit.of_python(VULNERABLE))
    monkeypatch.setattr(audit, "pages", lambda: audit.NO_RESULT)
    with pytest.raises(SystemExit) as ended:
        audit.main()
    lines = str(ended.value).splitlines()
    assert lines[0] == "known vulnerabilities:"
    assert len(lines) == 1 + 2 * len(audit.LOCKS)


def test_without_a_network_the_audit_passes() -> None:
    """It says in a line for each lock that nobody was asked."""
    nobody = "http://127.0.0.1:9"  # the port `discard`: nothing listens there
    proxies = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "npm_config_proxy", "npm_config_https_proxy"), nobody
    )
    done = subprocess.run(
        [sys.executable, "tools/audit.py"],
        cwd=ROOT,
        env={**os.environ, **proxies, "NO_PROXY": "", "no_proxy": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(": ")[2][:7] for line in done.stdout.splitlines()] == ["skipped"] * 5


def test_the_check_has_the_audit() -> None:
    """`make check` looks vulnerabilities up."""
    assert ["tools/audit.py"] in [command[1:] for command in tool("check").STEPS.values()]
