"""Finds out who asks: API keys, JSON Web Tokens, and where nobody has to sign in."""
