"""Search indexes: made once for an input, in files of their own in a home's folder `search`.

A cache, in no run's way: an index may be deleted at any time, and is built again by the next search.
"""
