"""The marker of a citation in a text, `[^3]`: kernels look for those of an answer, the host for what they stand for."""

import re

MARKER = re.compile(r"\[\^([1-9][0-9]{0,8})\]")
"""A marker; its group is the number."""
MARKER_IN_BYTES = re.compile(MARKER.pattern.encode())
"""The same in UTF-8 or JSON."""
