"""Identity: which customers of different providers are one person."""
