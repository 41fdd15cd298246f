"""Servers on loopback for tests and demos."""
