"""Voucherify as a local server. Facts: its OpenAPI v2018-08-01, the vendor's pages of 2026-08."""

from gateway.sandbox.voucherify.app import CREDENTIALS, build, webhooks_of

__all__ = ["CREDENTIALS", "build", "webhooks_of"]
