"""The reading of the input: the files that a user names, read by the readers of their formats, and stored as a run's input."""
