"""Results as text, one renderer per file."""
