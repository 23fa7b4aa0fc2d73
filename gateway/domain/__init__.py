"""Frozen domain values: no I/O, nothing specific to a provider."""
