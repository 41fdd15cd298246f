"""What goes in: the files that a user names, read by the readers of their formats, and stored as a run's input."""
