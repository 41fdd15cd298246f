"""The demo: a real question over a real corpus that is on every machine, Python's own standard library."""
