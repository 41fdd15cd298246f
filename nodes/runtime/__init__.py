"""The objects of a running execution, which belong to the process that executes the run."""
