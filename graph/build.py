"""The graph of a run: its nodes and edges.

START → prepare → (direct) → plan → (review) → execute_code → (sub_call xN → execute_code)* → plan … → finalize → END

Everything that waits for a reviewer passes through `review`: from plan, direct and execute_code, and back.
"""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from ..nodes.direct import direct
from ..nodes.execute_code import execute_code
from ..nodes.finalize import finalize
from ..nodes.plan import plan
from ..nodes.prepare import prepare
from ..nodes.review import review
from ..nodes.runtime.active_runs import ActiveRuns, thread_of
from ..nodes.runtime.dependencies import Dependencies
from ..nodes.sub_call import sub_call
from ..state.run_state import RunInput, RunOutput, RunState
from ..state.settings import RunSettings
from .routes import after_direct, after_execute, after_finalize, after_plan, after_prepare, after_review

Drawing = StateGraph[RunState, RunSettings, RunInput, RunOutput]
Graph = CompiledStateGraph[RunState, RunSettings, RunInput, RunOutput]


def draw(deps: Dependencies, active_runs: ActiveRuns) -> Drawing:
    """Build the graph without compiling it: the caller chooses the checkpointer."""
    graph: Drawing = StateGraph(RunState, context_schema=RunSettings, input_schema=RunInput, output_schema=RunOutput)

    graph.add_node("prepare", partial(prepare, deps=deps))
    graph.add_node("direct", _in_thread(direct, active_runs, deps))
    graph.add_node("plan", _in_thread(plan, active_runs, deps))
    graph.add_node("review", partial(review, deps=deps))
    graph.add_node("execute_code", _in_thread(execute_code, active_runs, deps))
    graph.add_node("sub_call", _in_thread(sub_call, active_runs, deps))
    graph.add_node("finalize", _in_thread(finalize, active_runs, deps))

    graph.add_edge(START, "prepare")
    graph.add_conditional_edges("prepare", _at_once(after_prepare))
    graph.add_conditional_edges("direct", _at_once(after_direct))
    graph.add_conditional_edges("plan", _at_once(after_plan))
    graph.add_conditional_edges("review", _at_once(after_review))
    graph.add_conditional_edges("execute_code", _at_once(after_execute), ["sub_call", "review", "plan", "finalize"])
    graph.add_edge("sub_call", "execute_code")
    graph.add_conditional_edges("finalize", _at_once(after_finalize))
    return graph


Next = TypeVar("Next")


def _at_once(route: Callable[[RunState], Next]) -> Callable[[RunState], Awaitable[Next]]:
    """Make a coroutine function of a route: LangGraph runs a plain function in a thread."""

    @wraps(route)
    async def routed(state: RunState) -> Next:
        return route(state)

    return routed


Node = Callable[[RunState, ActiveRuns, Dependencies, str], Awaitable[dict[str, Any]]]


def _in_thread(node: Node, active_runs: ActiveRuns, deps: Dependencies) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Bind a node to the active run of the thread that it is called for."""

    async def bound(state: RunState, config: RunnableConfig) -> dict[str, Any]:
        return await node(state, active_runs, deps, thread_of(config))

    bound.__name__ = getattr(node, "__name__", "node")
    return bound
