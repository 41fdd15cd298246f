"""Names and numbers that the kernel host and the kernel must agree on. Both import them from here."""

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
"""Jupyter's channels in the order of their ports, 1 to 5."""
SCRATCH = "/scratch"
"""The scratch folder in a kernel's own root."""
DEVICES = ("null", "zero", "full", "random", "urandom")
"""The device files in a kernel's own root."""
MAX_PROMPT = 64 << 20
"""Characters of one prompt together with the text that is sent with it as its context, at most."""
MAX_SCHEMA, MAX_DEPTH = 1 << 20, 100
"""Characters of a schema's JSON, and the nesting of a schema, of metadata and of a final value, at most."""
CALL_WEIGHT, PART_WEIGHT = 1 << 10, 1 << 8
"""Weight of a call, and of a text of its context, beside their characters."""
