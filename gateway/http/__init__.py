"""Inbound HTTP: everything between a socket and an operation."""
