"""What the gateway expects of every adapter, on this one's samples."""

from pathlib import Path

from provider_heron import KIND

from gateway.testing.contract import AdapterContract


class TestHeron(AdapterContract):
    """Heron keeps the contract."""

    kind = KIND
    folder = Path(__file__).parent / "samples"
    readme = Path(__file__).parents[1] / "README.md"
