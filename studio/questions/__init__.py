"""Many questions over one input: their file, the work on them, a line out for each, and the display meanwhile."""
