"""Print what a running gateway consists of, as a CycloneDX document (SBOM).

It lists the packages of `requirements/serve.lock` and those that the browser pages contain, each
with the hashes in its lock.
"""

import base64
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from gateway import __version__

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def python(lock: str) -> Iterator[Component]:
    """Yield the packages of a pip lock, for all platforms."""
    pins = list(PINNED.finditer(lock))
    ends = [pin.start() for pin in pins[1:]] + [len(lock)]
    for pin, end in zip(pins, ends, strict=True):
        hashes = [
            HashType(alg=HashAlgorithm.SHA_256, content=each)
            for each in HASH.findall(lock, pin.end(), end)
        ]
        yield component("pypi", "", pin[1], pin[2], hashes)


def pages(lock: str) -> Iterator[Component]:
    """Yield the packages of an npm lock, except those used only to build the pages."""
    for path, package in json.loads(lock)["packages"].items():
        if not path or package.get("dev"):
            continue
        algorithm, _, digest = package["integrity"].partition("-")
        content = base64.b64decode(digest).hex()
        group, _, name = path.rpartition("node_modules/")[2].rpartition("/")
        algorithm_name = HashAlgorithm(algorithm.upper().replace("SHA", "SHA-"))
        hashes = [HashType(alg=algorithm_name, content=content)]
        yield component("npm", group, name, package["version"], hashes)


def component(kind: str, group: str, name: str, version: str, hashes: list[HashType]) -> Component:
    """Return one package."""
    purl = PackageURL(kind, group or None, name, version)
    return Component(
        name=name,
        group=group or None,
        version=version,
        purl=purl,
        bom_ref=purl.to_string(),
        hashes=hashes,
    )


def main() -> None:
    """Print the document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bom = Bom()
    bom.metadata.component = Component(
        name=project["name"],
        version=__version__,
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
    )
    parts = [
        *python((ROOT / "requirements" / "serve.lock").read_text(encoding="utf-8")),
        *pages((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")),
    ]
    bom.components.update(parts)
    bom.register_dependency(bom.metadata.component, parts)
    print(JsonV1Dot6(bom).output_as_string(indent=2))


if __name__ == "__main__":
    main()
