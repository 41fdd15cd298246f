"""Why an input cannot be searched."""

from ..errors import RlmError


class SearchUnavailable(RlmError):
    """The input cannot be searched."""


class DamagedIndex(Exception):
    """A file is not the index that it should be, and has to be built again."""
