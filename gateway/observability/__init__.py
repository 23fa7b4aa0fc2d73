"""What the gateway writes down: logs and the audit trail."""
