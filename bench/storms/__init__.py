"""Seeded storms, bounded in time: what the tests check for a few cases, for many. `python -m bench.storms.kills`."""
