"""Scripts of CI: finding the installed Pythons, and the planted index."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import parse_wheel_filename

from tests.sizes import sample

ROOT = Path(__file__).resolve().parents[1]
REAL = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
SHIM = "#!/bin/sh\necho 'pyenv: this version is not installed' >&2\nexit 127\n"
VERSION = sys.version_info[:2]
NAME = "python{}.{}".format(*VERSION)


def tool(name: str) -> Any:
    """Return a script of `tools/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(file: Path, text: str) -> str:
    """Write an executable file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Simulate a machine without any Python; return the folder on its path."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_python_on_the_path(machine: Path) -> None:
    """An interpreter on the path is used if it runs."""
    python = program(machine / "bin" / NAME, REAL)
    assert tool("pythons").interpreter(VERSION) == python


def test_a_shim_that_starts_nothing_is_passed_over(machine: Path) -> None:
    """An installation by pyenv is used instead."""
    program(machine / "bin" / NAME, SHIM)
    inside = program(
        machine / "pyenv" / "versions" / "{}.{}.1".format(*VERSION) / "bin" / "python", REAL
    )
    assert tool("pythons").interpreter(VERSION) == inside


def test_a_python_of_another_version_is_passed_over(machine: Path) -> None:
    """The version counts, not the name."""
    program(machine / "bin" / "python3.99", REAL)
    assert tool("pythons").interpreter((3, 99)) is None


def test_a_version_that_is_nowhere_is_named(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing version is reported, but is not a failure."""
    assert not (machine / "bin").exists()
    pythons = tool("pythons")
    monkeypatch.setattr(pythons, "VERSIONS", ((3, 98), VERSION))
    monkeypatch.setattr(sys, "argv", ["pythons.py"])
    pythons.main()
    assert capsys.readouterr().out == (
        "Python 3.98 is NOT INSTALLED: not tested\n"
        "Python {}.{} runs all tests (make test)\n".format(*VERSION)
    )


def test_failed_tests_fail_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version is tested, and those that failed are listed."""
    pythons = tool("pythons")
    monkeypatch.setattr(pythons, "VERSIONS", ((3, 97), (3, 98), (3, 99)))
    monkeypatch.setattr(pythons, "interpreter", "python{0[0]}.{0[1]}".format)
    monkeypatch.setattr(pythons, "test", lambda python, _: python == "python3.98")
    monkeypatch.setattr(sys, "argv", ["pythons.py"])
    with pytest.raises(SystemExit, match=r"^unit tests failed on python3.97, python3.99$"):
        pythons.main()


def test_the_planted_index_has_a_newer_version_of_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wheels are visible to pip besides its other packages; none can be imported."""
    index = tool("planted_index")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    with index.planted() as variables:
        before, folder = variables["PIP_FIND_LINKS"].split()
        assert before == "/wheels"
        wheels = {parse_wheel_filename(each.name)[:2]: each for each in Path(folder).iterdir()}
        assert {str(name) for name, _ in wheels} == set(index.locked())
        assert {str(version) for _, version in wheels} == {index.VERSION}
        (uvicorn,) = [file for (name, _), file in wheels.items() if name == "uvicorn"]
        with zipfile.ZipFile(uvicorn) as archive:
            assert archive.read("uvicorn.py").decode() == index.BROKEN
    assert not Path(folder).exists()


def test_what_the_locks_do_not_name_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other versions and other packages are listed; not those of `venv`, and not the gateway."""
    index = tool("planted_index")
    listed = (
        '[{"name": "HTTPX", "version": "9999.0"}, {"name": "requests-x", "version": "1"},'
        ' {"name": "segment-gateway", "version": "0.1.0"}, {"name": "setuptools", "version": "1"},'
        f' {{"name": "uvicorn", "version": "{index.locked()["uvicorn"]}"}}]'
    )

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, listed, "")

    monkeypatch.setattr(index.subprocess, "run", run)
    assert index.unlocked(Path("python")) == ["HTTPX 9999.0", "requests-x 1"]


def test_a_sample_of_cases() -> None:
    """The first, the last and some between them of each name, in their order."""
    names = [("a", n) for n in range(9)] + [("b", 9), ("a", 10), ("c", 11), ("c", 12)]
    assert sample(names, 4) == [0, 3, 6, 9, 10, 11, 12]
    assert sample(names, 2) == [0, 9, 10, 11, 12]
