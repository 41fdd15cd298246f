"""The kernel host: one child process of the application that owns the kernels.

It keeps Jupyter's machinery (and, later, the sandbox) out of the graph's process, and ends every kernel
when that process is gone, however it went. It speaks `frames` over a socket pair.
"""
