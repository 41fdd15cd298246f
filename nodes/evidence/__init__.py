"""Check what an answer cites, and find the places of it."""
