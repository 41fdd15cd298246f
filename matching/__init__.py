"""Finding and cutting text, for kernels and the host alike.

Kernels find quotations and cut packs; the host, which trusts no kernel, checks what they found with the same code. So
this package stands below `state`, imports nothing but the standard library, and is the one part of the project beside
`kernel/inside` that kernels see (`kernel/inside/shared_package.py`). Imports are lazy there: modules are loaded by
name, `from durable_rlm.matching.quotations import …`.
"""
