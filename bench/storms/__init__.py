"""Seeded storms: many random attacks on one promise, bounded in time. `python -m bench.storms.kills` runs one."""
