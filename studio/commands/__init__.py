"""The commands of `rlm`, one per file."""
