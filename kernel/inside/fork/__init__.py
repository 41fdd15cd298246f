"""The fork server: kernels and confined programs start as copies of a process that has imported what they need."""
