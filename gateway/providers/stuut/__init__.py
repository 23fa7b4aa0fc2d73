"""Stuut: accounts receivable, with rule segments of which the first that matches wins."""
