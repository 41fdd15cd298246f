"""The machine: the drawing, its routes, and the runner that starts and continues runs."""
