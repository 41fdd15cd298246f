"""A person in the loop, on the terminal: what a run waits for is shown, and the decision is taken."""
