"""What lasts: the wire format of a run, its settings, and the stores that keep it."""
