"""The fork server: kernels start in milliseconds as copies of a process that has imported everything they need."""
