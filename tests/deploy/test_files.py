"""The files for deployment are valid, and say the same as the gateway."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway import __version__
from gateway.settings.loading import load
from tests.proxies.processes import need

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
VARIABLES = {
    "DATABASE_URL": "postgresql://gateway:gateway@postgres/gateway",
    "DASHBOARD_KEY_HASH": "sha256:0BD3lwdzjEcerC4t1j-O2g:"
    "b9f5e53d0712446a15d30d9406ff875b97004c7fde334ccd6ea61034e7a44f98",
    "VOUCHERIFY_APP_ID": "id",
    "VOUCHERIFY_APP_TOKEN": "token",
}


def assert_valid(*command: str | Path) -> str:
    """Run a checker of the tree's files; return its output."""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def documents(text: str) -> Sequence[Any]:
    """Return the documents of a YAML file."""
    return list(YAML(typ="safe").load_all(text))


@pytest.fixture(scope="module")
def manifests() -> Sequence[Any]:
    """Return what `kubectl apply -k` would send."""
    files = ROOT / "deploy" / "kubernetes"
    listed = documents((files / "kustomization.yaml").read_text())[0]["resources"]
    return [each for name in listed for each in documents((files / name).read_text())]


def test_the_dockerfile_follows_the_rules() -> None:
    """No rule of hadolint is broken or switched off."""
    assert_valid(BIN / "hadolint", "--no-color", "Dockerfile")
    assert "hadolint" not in (ROOT / "Dockerfile").read_text()


def test_compose_is_valid() -> None:
    """Against the schema of the Compose specification; every file that is mounted exists."""
    assert_valid(
        BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"
    )
    [compose] = documents((ROOT / "compose.yaml").read_text())
    mounted = [
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert [each for each in mounted if not (ROOT / each).exists()] == []
    images = {service.get("image") for service in compose["services"].values()}
    assert f"segment-gateway:{__version__}" in images


def test_the_manifests_are_valid(tmp_path: Path, manifests: Sequence[Any]) -> None:
    """Against the schemas of Kubernetes, without unknown fields."""
    folder = ROOT / "deploy" / "kubernetes"
    files = [
        folder / name
        for name in documents((folder / "kustomization.yaml").read_text())[0]["resources"]
    ]
    assert_valid(
        BIN / "kubernetes-validate", "--strict", "--quiet", *_with_selectors(files, tmp_path)
    )
    assert [each["kind"] for each in manifests] == [
        "Namespace",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
    ]


def _with_selectors(files: Sequence[Path], folder: Path) -> Sequence[Path]:
    """Add what kustomize's `labels` adds, without which a Deployment is not valid."""
    labels = {"app.kubernetes.io/name": "segment-gateway"}
    copies = []
    for file in files:
        [document] = documents(file.read_text())
        if document["kind"] == "Deployment":
            document["spec"]["selector"] = {"matchLabels": labels}
            document["spec"]["template"]["metadata"]["labels"] = labels
        elif document["kind"] == "NetworkPolicy":
            document["spec"]["podSelector"] = {"matchLabels": labels}
        copies.append(folder / file.name)
        with copies[-1].open("w") as copy:
            YAML(typ="safe").dump(document, copy)
    return copies


def test_kustomize_builds(tmp_path: Path) -> None:
    """Where kubectl is installed: its own result is valid, too."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is missing")
    built = tmp_path / "all.yaml"
    built.write_text(assert_valid("kubectl", "kustomize", "deploy/kubernetes"))
    assert_valid(BIN / "kubernetes-validate", "--strict", "--quiet", built)
    assert f"image: registry.shop.example/segment-gateway:{__version__}" in built.read_text()


@pytest.mark.parametrize("name", ["compose", "kubernetes"])
def test_the_configuration_is_accepted(name: str) -> None:
    """The gateway reads it; it names every variable that is needed."""
    settings = load(ROOT / "deploy" / name / "gateway.toml", VARIABLES)
    assert settings.store.url == VARIABLES["DATABASE_URL"]
    document = tomllib.loads((ROOT / "deploy" / name / "gateway.toml").read_text())
    assert [each["key"] for each in document["providers"]] == [
        each.key for each in settings.providers
    ]


def test_the_container_is_restricted(manifests: Sequence[Any]) -> None:
    """As Kubernetes' profile `restricted` demands, with a root file system that is read-only."""
    [pod] = [
        each["spec"]["template"]["spec"] for each in manifests if each["kind"] == "Deployment"
    ]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_unit_is_valid() -> None:
    """By systemd itself; only the program is not there."""
    verify = need("systemd-analyze", "systemd")
    unit = ROOT / "deploy" / "systemd" / "segment-gateway.service"
    result = subprocess.run([verify, "verify", unit], capture_output=True, text=True, check=False)
    complaints = [
        line
        for line in (result.stdout + result.stderr).splitlines()
        if "segment-gateway" in line and "is not executable" not in line
    ]
    assert complaints == []
