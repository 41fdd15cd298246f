"""What is alive while a run executes, and belongs to the process that runs it."""
