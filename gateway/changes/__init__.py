"""The change log at work: following it, and reading it for clients."""
