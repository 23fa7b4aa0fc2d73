"""Authentication by API keys and JSON Web Tokens, and anonymous access."""
