"""Functions that compute or read the values of fields, by the type of their parent."""
