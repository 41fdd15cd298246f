"""Confinement of untrusted code: a process applies namespaces, Landlock, seccomp and limits to itself through ctypes.

Only the standard library is imported here: this code runs before anything else in the process. Linux only.
"""
