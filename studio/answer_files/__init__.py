"""The forms in which answers are written to files: one module for each kind of form."""
