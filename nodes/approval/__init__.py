"""The gates: where a run waits for a reviewer, and how the reviewer's decisions are applied."""
