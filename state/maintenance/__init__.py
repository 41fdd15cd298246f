"""Looking after a home: checking every byte of a run, and freeing what nothing refers to."""
