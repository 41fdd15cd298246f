"""What this machine can do, for `rlm doctor`: one file a group of checks."""
