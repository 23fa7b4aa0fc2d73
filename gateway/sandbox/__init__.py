"""The four providers as local servers, written from their documents, not from our adapters."""
