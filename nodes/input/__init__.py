"""The reading of the input: files that a user names, read by their formats' readers, become a run's input."""
