"""What all tests share."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test's store apart from the user's and from other tests'."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
