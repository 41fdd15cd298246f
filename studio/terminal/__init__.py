"""The terminal: streams, consoles, escaping, tables and error messages."""
