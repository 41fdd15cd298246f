"""Read the reply of a root model: its fences, its blocks of code, and the cell in it."""
