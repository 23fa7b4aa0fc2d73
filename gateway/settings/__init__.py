"""The configuration: its tables, and how they are read and checked."""
