"""Code shared by the commands: options, the loop around a run, signals, files."""
