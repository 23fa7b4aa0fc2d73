"""The only package that talks to providers: HTTP, sign-in, resilience, caching."""
