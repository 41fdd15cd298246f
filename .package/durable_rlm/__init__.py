"""durable-rlm: a Recursive Language Model as a durable LangGraph application.

`Runner` is the front door; the command line is written on it. It is imported on first use, so that
`rlm --help` does not wait for LangGraph.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph.runner import Run, Runner

__all__ = ["Run", "Runner"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from .graph import runner

        return getattr(runner, name)
    raise AttributeError(name)
