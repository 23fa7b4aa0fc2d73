"""The four providers as local servers, written from their documents and not from our adapters."""
