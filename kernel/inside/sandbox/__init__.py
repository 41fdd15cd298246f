"""What keeps hostile code in: namespaces, Landlock, seccomp and limits, through ctypes, for a process on itself.

Nothing here is imported from outside the standard library: it runs before anything else in the process. Linux only.
"""
