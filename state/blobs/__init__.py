"""Content-addressed bytes: texts, snapshots and inputs, stored once and as deltas."""
