"""Searches the calls of a home: a file of words beside the database, which whoever reads fills and anybody may delete.

The file is a cache. What it says is looked up in the stored texts before it is shown, and a file that is damaged, or
that was made for another home, is made again.
"""
