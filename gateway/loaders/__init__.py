"""Batched, deduplicated reads for one request."""
