"""Batching for one request."""
