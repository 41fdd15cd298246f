"""What people touch: the command line, its display, and the demo."""
