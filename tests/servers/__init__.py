"""Servers that tests and demos talk to, on loopback only."""
