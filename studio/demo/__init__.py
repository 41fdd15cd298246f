"""The demo: a real question over a corpus that is on every machine, Python's own standard library."""
