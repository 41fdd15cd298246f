"""Restore a REPL: load the last snapshot, replay the cells after it, report what differs."""
