"""Send a notification to its target: a command or an address."""
