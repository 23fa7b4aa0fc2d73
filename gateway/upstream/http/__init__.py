"""The HTTP client for calls to providers."""
