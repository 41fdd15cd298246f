"""What the commands share: options, the loop around a run, signals, files."""
