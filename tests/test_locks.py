"""The locks are complete: every requirement of a locked package is locked, too.

Set-up installs them without resolving, so a gap would be a missing package. No network is needed:
requirements come from the metadata of installed packages, wheels from `requirements/wheels.txt`.
"""

import importlib.metadata
import importlib.util
import itertools
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

pytestmark = pytest.mark.every_case

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {"serve": ("build",), "dev": ("build", "dev")}
"""The locks, and the dependency groups in each besides the gateway's own dependencies."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
"""The last one represents future versions: their markers and `requires-python`."""

WITH_WHEELS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = {
    "Linux x86-64": ("linux", "Linux", "x86_64", ("manylinux_2_28_x86_64",)),
    "Linux ARM": ("linux", "Linux", "aarch64", ("manylinux_2_28_aarch64",)),
    "macOS Intel": ("darwin", "Darwin", "x86_64", ("macosx_14_0_x86_64",)),
    "macOS ARM": ("darwin", "Darwin", "arm64", ("macosx_14_0_arm64",)),
}
"""`sys_platform`, `platform_system`, `platform_machine`, and the platform tags of its pip."""

COMPILED = {"macOS Intel": ["cryptography"]}
"""Packages without a wheel there: set-up needs Rust, as the README says."""

ENVIRONMENTS = list(itertools.product(PYTHONS, MACHINES))
PIN = re.compile(r"^(?P<requirement>[^\s#][^\\]*?)\s*\\$", re.MULTILINE)


class Pin(NamedTuple):
    """A locked package."""

    version: Version
    extras: frozenset[str]


def environment(python: str, machine: str) -> dict[str, str]:
    """Return the values of a marker's variables in an environment."""
    sys_platform, system, architecture, _ = MACHINES[machine]
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.1",
        "implementation_version": f"{python}.1",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": sys_platform,
        "platform_system": system,
        "platform_machine": architecture,
    }


@cache
def requirements_of(lock: str) -> Sequence[Requirement]:
    """Return the entries of a lock, in order."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")
    return [Requirement(each["requirement"]) for each in PIN.finditer(text)]


def pins(lock: str, where: Mapping[str, str]) -> dict[str, Pin]:
    """Return the packages that a lock installs in an environment."""
    pinned: dict[str, Pin] = {}
    for each in requirements_of(lock):
        if each.marker is None or each.marker.evaluate(dict(where)):
            (specifier,) = each.specifier
            assert specifier.operator == "=="
            name = canonicalize_name(each.name)
            assert name not in pinned
            pinned[name] = Pin(Version(specifier.version), frozenset(each.extras))
    return pinned


@cache
def own_requirements(lock: str) -> Sequence[Requirement]:
    """Return the requirements in pyproject.toml for a lock."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    texts = [
        *project["dependencies"],
        *itertools.chain(*project["optional-dependencies"].values()),
    ]
    for group in LOCKS[lock]:
        texts = [*texts, *document["dependency-groups"][group]]
    return [Requirement(text) for text in texts]


@cache
def required_by(name: str) -> Sequence[Requirement]:
    """Return what a package requires, whatever the extras and markers."""
    return [Requirement(text) for text in importlib.metadata.requires(name) or ()]


def wanted(lock: str, where: Mapping[str, str]) -> Iterator[tuple[str, Requirement]]:
    """Yield the requirements of each package in an environment, including extras."""
    for requirement in own_requirements(lock):
        if requirement.marker is None or requirement.marker.evaluate(dict(where)):
            yield "pyproject.toml", requirement
    for name, pin in pins(lock, where).items():
        for requirement in required_by(name):
            marker = requirement.marker
            if marker is None or any(
                marker.evaluate({**where, "extra": extra}) for extra in ("", *pin.extras)
            ):
                yield name, requirement


@pytest.fixture(params=list(LOCKS))
def lock(request: pytest.FixtureRequest) -> str:
    """Return the name of a lock whose packages are installed where the tests run."""
    return str(request.param)


@pytest.mark.parametrize(("python", "machine"), ENVIRONMENTS)
def test_every_requirement_is_satisfied_by_the_lock_itself(
    lock: str, python: str, machine: str
) -> None:
    """For the gateway and each package, with extras and markers, on each Python and machine."""
    where = environment(python, machine)
    pinned = pins(lock, where)
    missing = [
        f"{name} requires {requirement}"
        for name, requirement in wanted(lock, where)
        if (pin := pinned.get(canonicalize_name(requirement.name))) is None
        or not requirement.specifier.contains(pin.version, prereleases=True)
        or not requirement.extras <= pin.extras
    ]
    assert missing == []


@pytest.mark.parametrize(("python", "machine"), ENVIRONMENTS)
def test_the_lock_has_nothing_superfluous(lock: str, python: str, machine: str) -> None:
    """Every locked package is required by the gateway or by another package."""
    where = environment(python, machine)
    required = {canonicalize_name(requirement.name) for _, requirement in wanted(lock, where)}
    assert pins(lock, where).keys() - required == set()


@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_accepts_the_python(lock: str, python: str) -> None:
    """Every package supports all Pythons in the gateway's `requires-python`."""
    refused = [
        name
        for name in pins(lock, environment(python, "Linux x86-64"))
        if not SpecifierSet(
            str(importlib.metadata.metadata(name).json.get("requires_python", ""))
        ).contains(f"{python}.1")
    ]
    assert refused == []


@cache
def wheels() -> Mapping[tuple[str, Version], frozenset[Tag]]:
    """Return the tags of the wheels of each pinned package."""
    tags: dict[tuple[str, Version], frozenset[Tag]] = {}
    for line in (ROOT / "requirements" / "wheels.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, version, _, of_this = parse_wheel_filename(line)
            tags[name, version] = tags.get((name, version), frozenset()) | of_this
    return tags


@cache
def older(platform_tag: str) -> Sequence[str]:
    """Return all tags that pip accepts on this platform, including those of older systems."""
    if platform_tag.startswith("macosx"):
        machine = platform_tag.partition("_0_")[2]
        versions = [f"{major}_0" for major in range(14, 10, -1)]
        versions += [f"10_{minor}" for minor in range(16, 3, -1)]
        return [f"macosx_{at}_{kind}" for at in versions for kind in (machine, "universal2")]
    machine = platform_tag.removeprefix("manylinux_2_28_")
    return [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)] + [
        f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1")
    ]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", WITH_WHEELS)
def test_no_package_has_to_be_compiled(lock: str, python: str, machine: str) -> None:
    """Each package has a wheel for each Python and machine, except those in COMPILED."""
    (platform_tag,) = MACHINES[machine][3]
    version = (int(python[0]), int(python[2:]))
    platforms = older(platform_tag)
    accepted = {
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, f"cp{version[0]}{version[1]}", platforms),
    }
    without = [
        name
        for name, pin in pins(lock, environment(python, machine)).items()
        if accepted.isdisjoint(wheels().get((name, pin.version), ()))
    ]
    assert without == COMPILED.get(machine, [])


def test_this_environment_is_what_the_lock_names() -> None:
    """The tests run with exactly the versions that `dev.lock` has for this machine."""
    pinned = pins("dev", {k: str(v) for k, v in default_environment().items()})
    installed = {name: Version(importlib.metadata.version(name)) for name in pinned}
    assert installed == {name: pin.version for name, pin in pinned.items()}


def test_set_up_uses_nothing_outside_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every pip command installs without resolving: by hash, or the tree itself."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / "tools" / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    tool: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[3:])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(tool, "VENV", str(tmp_path))
    monkeypatch.setattr(tool, "PYTHON", sys.executable)
    monkeypatch.setattr(tool.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["environment.py", "dev"])
    tool.main()
    install = ["install", "--quiet", "--disable-pip-version-check"]
    assert commands == [
        [*install, "--no-deps", "--require-hashes", "--requirement", "requirements/dev.lock"],
        [*install, "--no-deps", "--no-build-isolation", "--editable", "."],
    ]


def test_the_machines_are_those_that_tests_know() -> None:
    """On the machine of the tests, the simulated environment equals the real one."""
    real = default_environment()
    names = {(each[0], each[2]): name for name, each in MACHINES.items()}
    machine = names.get((sys.platform, platform.machine()))
    if machine is None:
        pytest.skip("this machine is not one of those that the locks are promised for")
    made = environment(real["python_version"], machine)
    of_version = {"python_full_version", "implementation_version"}
    of_kernel = {"platform_release", "platform_version"}
    same = made.keys() - of_version - of_kernel
    assert {name: made[name] for name in same} == {
        name: value for name, value in real.items() if name in same
    }
