"""A command imports what it needs: all of the gateway takes a second."""

import gc
import inspect
import subprocess
import sys
from typing import Any

import pytest

from gateway.__main__ import COMMANDS, imported
from gateway.asgi import tune_garbage_collection

SCRIPT = """
import runpy, sys
try:
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)
finally:
    print(*sys.modules, file=sys.stderr)
"""
HEAVY = {"graphql", "strawberry", "sqlalchemy", "starlette", "uvicorn", "gateway.asgi"}


def modules(*arguments: str) -> set[str]:
    """Return what is imported when a command has run."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_version_and_the_list_of_commands(option: str) -> None:
    """They need nothing of the gateway."""
    known = modules(option)
    assert {each for each in known if each.startswith(("gateway", "resolvers"))} == {"gateway"}
    assert not known & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ("key", "create", "--name", "web", "--scope", "segments:read"),
        ("import", "--help"),
        ("export", "customers", "--help"),
        ("reload", "--help"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_that_serve_nothing(arguments: tuple[str, ...]) -> None:
    """They need no database, no schema and no server."""
    assert not modules(*arguments) & HEAVY


def test_garbage_is_collected_again() -> None:
    """After a command is imported, and after a worker is: that it is not meanwhile saves time."""
    imported("serve")
    assert gc.isenabled()
    thresholds = gc.get_threshold()
    gc.disable()
    try:
        tune_garbage_collection()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_the_list_says(name: str) -> None:
    """It is the first paragraph of the command's own help."""
    command: Any = imported(name)
    [first, *_] = inspect.cleandoc(command.help).split("\n\n")
    assert COMMANDS[name][1] == " ".join(first.split())
