"""Frozen values of the domain, and nothing else: no I/O, no provider."""
