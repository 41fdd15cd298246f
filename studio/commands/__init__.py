"""The commands of `rlm`, one a file."""
