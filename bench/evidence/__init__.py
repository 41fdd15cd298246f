"""Searching an input, and checking what comes out of it."""
