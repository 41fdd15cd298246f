"""A run's input as it is stored: the texts, and the index of its documents."""
