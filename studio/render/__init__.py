"""Results as text, one renderer a file."""
