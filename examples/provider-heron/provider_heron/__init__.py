"""Heron, an invented vendor, as a kind of provider of the segment gateway."""

from gateway.providers.base.kind import ProviderKind
from provider_heron.adapter import Heron

KIND = ProviderKind(Heron, sandbox="provider_heron.sandbox")
