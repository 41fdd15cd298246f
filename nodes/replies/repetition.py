"""Recognize a text whose end repeats itself: a model that is caught in a loop writes on until its output limit."""

LOOKED_AT = 2_000
"""Characters at the end of a text that are looked at."""
_LONGEST_PERIOD = 200


def repeats_itself(text: str) -> bool:
    """Return whether the last 2,000 characters are one passage of at most 200, ten times or more.

    Takes 0.3 ms at most, and usually microseconds.
    """
    tail = text[-LOOKED_AT:]
    if len(tail) < LOOKED_AT:
        return False
    # The smallest shift by which the tail's beginning fits again. If the tail as a whole has a period, that shift is
    # one too: with two periods that are short beside the text, their greatest common divisor is a period (Fine, Wilf).
    shift = tail.find(tail[: LOOKED_AT - _LONGEST_PERIOD], 1)
    return shift > 0 and tail.startswith(tail[shift:])
