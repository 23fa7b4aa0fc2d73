"""The kinds of provider there are, by the `kind` of the configuration."""

from collections.abc import Mapping

from gateway.providers.base.adapter import Adapter
from gateway.providers.emporix.adapter import Emporix
from gateway.providers.instaleap.adapter import Instaleap
from gateway.providers.stuut.adapter import Stuut
from gateway.providers.voucherify.adapter import Voucherify

ADAPTERS: Mapping[str, type[Adapter]] = {
    adapter.kind: adapter for adapter in (Stuut, Voucherify, Instaleap, Emporix)
}
