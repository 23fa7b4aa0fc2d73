"""Packages that add kinds of providers, as pip would leave them in a folder."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from gateway.providers import registry
from gateway.providers.plugins import GROUP

BIRD: Final = '''
"""A kind of provider that works, unless a part of it is replaced."""

from typing import Literal

from pydantic import SecretStr

from gateway.domain.entities import Membership, Status
from gateway.domain.pages import complete_page
from gateway.providers.base.exchange import Call, Exchange
from gateway.providers.base.kind import ProviderKind
from gateway.providers.base.settings import AccountSettings


class BirdSettings(AccountSettings):
    kind: Literal["bird"]
    token: SecretStr


class Bird:
    kind = "bird"
    label = "Bird"
    Settings = BirdSettings
    notes = {}
    limits = ()
    memberships = frozenset(Membership)
    statuses = frozenset(Status)
    has_sites = False

    def __init__(self, settings):
        self.key = settings.key

    @property
    def secret_headers(self):
        return {}

    def segments(self, query, page):
        return Exchange("segments.list", Call("GET", "/"), lambda reply: complete_page(()))


KIND = ProviderKind(Bird)
'''
"""The text of a module."""


def add_package(
    folder: Path,
    name: str = "provider-bird",
    kind: str = "bird",
    text: str = BIRD,
    *,
    group: str = GROUP,
    value: str = "provider_bird:KIND",
) -> None:
    """Write a package with one module and one entry point."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{kind} = {value}\n")
    (folder / f"{value.partition(':')[0]}.py").write_text(text)


@contextmanager
def installed(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process find the packages of a folder."""
    before: Mapping[str, object] = dict(sys.modules)
    patch.syspath_prepend(str(folder))
    registry.plugins.cache_clear()
    yield
    registry.plugins.cache_clear()
    for name in sys.modules.keys() - before.keys():
        if name.startswith("provider_"):
            del sys.modules[name]
