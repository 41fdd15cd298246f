"""The graph, its routes, and the runner that starts and resumes runs."""
