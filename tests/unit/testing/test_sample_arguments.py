"""Arguments of samples that are segments or customers: the adapter reads them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from gateway.domain.entities import (
    Customer,
    CustomerKey,
    Limit,
    Membership,
    Ref,
    Segment,
    Status,
)
from gateway.domain.texts import plain
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.settings import AccountSettings
from gateway.testing.samples import Samples


class OakSettings(AccountSettings):
    """An account at Oak."""

    kind: Literal["oak"]


class Oak:
    """A provider whose ids have another name than `id`."""

    kind: ClassVar[str] = "oak"
    label: ClassVar[str] = "Oak"
    Settings: ClassVar[type[AccountSettings]] = OakSettings
    notes: ClassVar[Mapping[str, str]] = {}
    limits: ClassVar[Sequence[Limit]] = ()
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.MANUAL})
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False

    def __init__(self, settings: OakSettings) -> None:
        """Store the key."""
        self.key = settings.key

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """None."""
        return {}

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read segments, which the reply names."""

        def read(reply: Reply) -> Any:
            uuid = json.loads(reply.body)["uuid"]
            return {
                uuid: Segment(
                    ref=Ref(self.key, uuid), names=plain("A"), membership=Membership.MANUAL
                )
            }

        return [ReadBatch(keys, Exchange("segments.get", Call("GET", "/"), read))]

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read one customer by the requested key."""

        def read(reply: Reply) -> Any:
            number = json.loads(reply.body)["number"]
            keys_of = (CustomerKey("number", number),)
            return {keys[0]: Customer(ref=Ref(self.key, number), keys=keys_of)}

        return [ReadBatch(keys, Exchange("customers.get", Call("GET", "/"), read))]


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """Return the samples of an account, none."""
    settings = {"key": "o", "kind": "oak", "base_url": "https://o.example"}
    (tmp_path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return Samples(Oak, tmp_path)


def test_an_id_may_have_any_name(samples: Samples) -> None:
    """The document is the whole reply, so that its id need not be known before."""
    assert samples.segment({"uuid": "u-1"}).ref == Ref("o", "u-1")
    assert samples.customer({"number": "7"}).ref == Ref("o", "7")
