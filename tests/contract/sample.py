"""The samples of the built-in kinds, in `tests/samples/<kind>`."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gateway.providers.base.adapter import Adapter
from gateway.providers.base.settings import AccountSettings
from gateway.providers.registry import ADAPTERS
from gateway.testing.samples import NO_CHANGE, Sample, Samples

FOLDER = Path(__file__).parent.parent / "samples"


@cache
def samples_of(kind: str) -> Samples:
    """Return the samples of a kind."""
    return Samples(ADAPTERS[kind], FOLDER / kind)


def samples() -> Sequence[Sample]:
    """Return all samples, by path."""
    return [sample for kind in sorted(ADAPTERS) for sample in samples_of(kind).all]


def settings(kind: str, changed: Mapping[str, Any] = NO_CHANGE) -> AccountSettings:
    """Return the settings of a kind's samples, some of them changed."""
    return samples_of(kind).settings(changed)


def adapter(kind: str, changed: Mapping[str, Any] = NO_CHANGE) -> Adapter:
    """Return an adapter with its samples' settings, some of them changed."""
    return samples_of(kind).account(changed)
