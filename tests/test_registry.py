"""What is written by hand for each kind of provider agrees with the registry."""

import tomllib
from pathlib import Path

import pytest

from gateway.providers.registry import ADAPTERS, KINDS, SANDBOXED
from gateway.sandbox.app import Sandbox, SandboxOptions
from tests.four_kinds import FOUR

ROOT = Path(__file__).parent.parent


def test_the_import_contract_has_every_adapter() -> None:
    """Adapters stand side by side in one layer of `gateway.providers`: none imports another."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [
        each["layers"]
        for each in contracts["contracts"]
        if each.get("containers") == ["gateway.providers"]
    ]
    packages = [adapter.__module__.split(".")[2] for adapter in ADAPTERS.values()]
    expected = ["registry", " | ".join([*packages, "plugins"]), "base"]
    assert layers == expected, "pyproject.toml, the layers of gateway.providers"


def test_a_kind_is_named_as_its_adapter_is() -> None:
    """The registry's keys are the adapters' kinds, which settings insist on."""
    assert list(KINDS) == [each.adapter.kind for each in KINDS.values()]
    for kind, adapter in ADAPTERS.items():
        assert adapter.Settings.model_fields["kind"].annotation is not str, kind


@pytest.mark.parametrize("kind", SANDBOXED)
def test_a_sandbox_can_be_served(kind: str) -> None:
    """The module that the registry names has credentials that the kind's settings take."""
    sandbox = KINDS[kind].load_sandbox()
    account = {"key": "a", "kind": kind, "base_url": "sandbox:", **sandbox.CREDENTIALS}
    assert ADAPTERS[kind].Settings.model_validate(account).kind == kind
    assert Sandbox({kind: sandbox}, SandboxOptions(customers=1)).counts == {kind: 0}


def test_the_front_door_tests_have_their_four_kinds() -> None:
    """They run over these whatever else is registered."""
    assert tuple(kind for kind in SANDBOXED if kind in FOUR) == FOUR
