"""Searches the calls of a home: their words are in a file beside the database, filled by readers, deletable by all.

The file is a cache. What it says is looked up in the stored texts before it is shown, and a file that is damaged, or
that was made for another home, is made again.
"""
