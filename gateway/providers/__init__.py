"""The adapters: one package for each kind of provider."""
