"""The log and the audit log."""
