"""Gates: where a run waits for a person, and what comes of what they say."""
