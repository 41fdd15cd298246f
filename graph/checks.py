"""What can be refused before anything is read, saved or paid."""

import asyncio
from typing import Any

from pydantic import ValidationError

from ..kernel.session import Kernels
from ..nodes.models.pricing import price_known
from ..nodes.models.schema_validation import check_schema
from ..nodes.models.work_limit import SchemaInvalid, off_loop
from ..nodes.runtime.dependencies import Hands
from ..nodes.runtime.run_tree import most_kernels, run_levels
from ..nodes.runtime.untrusted_text import shortened
from ..state.approval_policy import Gates
from ..state.budget import Limits
from ..state.errors import ThreadExists, UsageError, cli_command
from ..state.input.context import ContextRef
from ..state.settings import RunSettings
from ..state.threads import Thread


async def check_start(question: str, settings: RunSettings) -> None:
    """Raises UsageError, saying what to do."""
    if not question.strip():
        raise UsageError("The question is empty.", hint="`rlm run --help` shows how to ask one.")
    if not settings.model:
        raise UsageError(
            "No model is named.",
            hint="Name one with --model, for example --model openai:gpt-5-mini (and --base-url URL for a server "
            "of your own), or set RLM_MODEL.",
        )
    if most_kernels(settings) < run_levels(settings):
        raise UsageError(
            f"--kernels {settings.kernels} is too few for --max-depth {settings.max_depth}.",
            hint=f"A run waits with its kernel for those below it: --kernels {run_levels(settings)} or more.",
        )
    if settings.answer_schema is not None:
        try:
            await off_loop(check_schema, settings.answer_schema)
        except SchemaInvalid as error:
            raise UsageError(
                f"--schema cannot be used: {error}.", hint="Give a JSON Schema that stands alone and is quick to check."
            ) from error
    gates = Gates.of(settings.approve)
    for name in {settings.model, settings.calls_model}:
        counted = "--max-cost" if settings.max_cost is not None else "--approve cost>USD"
        if (settings.max_cost is not None or gates.cost is not None) and not price_known(name, settings.price):
            raise UsageError(
                f"{counted} needs a price and none is known for {name}.",
                hint="Give it with --price IN,OUT in dollars per million tokens.",
            )


async def check_models(settings: RunSettings, hands: Hands) -> None:
    """Raises ModelSetupError, saying what to do."""
    for name in {settings.model, settings.calls_model}:
        # In a thread: the provider's package is imported, and kernels are made ready meanwhile.
        client = await asyncio.to_thread(hands.open_model, name, settings)
        await client.aclose()


async def make_ready(kernels: Kernels, settings: RunSettings) -> None:
    """Have kernels start soon, confined as the settings say. Raises NoSandbox, UsageError, KernelStartFailed."""
    if settings.mode != "direct" and not settings.kernel_provisioner:
        await kernels.warm_up(sandboxed=not settings.unsandboxed, environment=settings.kernel_env)


def check_same_run(thread: Thread, question: str, given: str) -> None:
    """Raises ThreadExists unless the run asks `question`, of an input that was given as that of the digest `given`."""
    if (thread.question, thread.input) != (question, given):
        asked = shortened(" ".join(thread.question.split()), 80)
        raise ThreadExists(
            f"The thread {thread.thread_id} exists and asks something else: {asked}",
            hint=f"Choose another --thread, or go on with it: {cli_command('resume', thread.thread_id)}",
        )


def check_same_input(thread: Thread, reference: ContextRef | None) -> None:
    """Raises ThreadExists when what was read now, if anything was, is not what the run has as its input."""
    stored: ContextRef | None = thread.start.get("context_ref")
    if reference and stored and (reference["pack"], reference["index"]) != (stored["pack"], stored["index"]):
        raise ThreadExists(
            f"The thread {thread.thread_id} exists, and its input has changed since it was begun.",
            hint=f"Choose another --thread, or go on with what it has: {cli_command('resume', thread.thread_id)}",
        )


def raised_limits(limits: Limits, raises: dict[str, Any]) -> Limits:
    """`limits` with those of `raises` that are given. Raises UsageError for a value that makes no sense."""
    if unknown := sorted(set(raises) - set(Limits.model_fields)):
        raise UsageError(f"A resume cannot change {', '.join(unknown)}: a run keeps the settings it was started with.")
    try:
        return limits.raised(raises)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]).replace("_", "-")
        raise UsageError(f"--{name}: {problem['msg']}.") from error
