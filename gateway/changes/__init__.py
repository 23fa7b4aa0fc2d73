"""Follow the change log, and read it for clients."""
