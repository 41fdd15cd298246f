"""The user interfaces: the command line, its display, the server and the demo."""
