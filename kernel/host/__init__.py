"""The kernel host: the child process of the application that owns the kernels.

It keeps Jupyter's machinery and the sandbox out of the graph's process, and ends every kernel when that process is
gone for any reason. It exchanges `frames` over a socket pair.
"""
