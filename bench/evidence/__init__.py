"""Measurements of evidence: searches, quotations, citations, and the parts of the input that prompts were made from."""
