"""The fork server: kernels in milliseconds, because they begin as copies of a process that has imported everything."""
