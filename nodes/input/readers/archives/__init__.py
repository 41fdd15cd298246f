"""The readers of archives and compressed files."""
