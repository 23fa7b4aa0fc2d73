"""All that the author of an adapter imports."""
