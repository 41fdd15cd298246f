"""Creates a run: checks the request, stores its input and inserts its thread's row.

All of this happens before the first step, so a run that is killed before its first checkpoint can still be resumed.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from ..kernel.session import Kernels
from ..nodes.direct import check_direct, fits_one_call
from ..nodes.models.pricing import price_known
from ..nodes.models.schema_validation import check_schema
from ..nodes.models.work_limit import SchemaInvalid, off_loop
from ..nodes.notify.targets import check_targets
from ..nodes.runtime.concurrency import most_kernels, run_levels
from ..nodes.runtime.dependencies import Dependencies
from ..nodes.runtime.events import OnEvent
from ..nodes.runtime.untrusted_text import shortened_line
from ..state.approval_policy import Gates
from ..state.budget import Limits
from ..state.call_keys import digest
from ..state.db.connection import Unit
from ..state.db.storable import encodable
from ..state.errors import HomeFull, ThreadExists, TimeSpent, UsageError, cli_command
from ..state.home_size import HomeLimit
from ..state.input.context import ContextRef
from ..state.run_names import MOST_NAME, MOST_QUESTION, names_for
from ..state.run_state import RunInput
from ..state.settings import RunSettings
from ..state.threads import Thread
from .intake import Given, from_stdin, input_digest, store_input

T = TypeVar("T")


def check_name(thread_id: str) -> str:
    """Return the name of a new run. Raises UsageError for one under which no run can be saved and found again."""
    # A NUL character begins the name of what remains of a deleted run.
    if not thread_id.strip() or len(thread_id) > MOST_NAME or "\0" in thread_id or not encodable(thread_id):
        raise UsageError(
            "A run cannot have this name: it is empty, too long, or not a text.",
            hint=f"Give --thread a name of up to {MOST_NAME} characters.",
        )
    return thread_id


def check_question(question: str) -> None:
    """Check a question of a new run, a fork or an edit. Raises UsageError."""
    if len(question) > MOST_QUESTION:
        raise UsageError(
            f"The question has {len(question):,} characters; it may have {MOST_QUESTION:,}.",
            hint="Give a long text as the input, and ask about it.",
        )
    if not question.strip():
        raise UsageError("The question is empty.", hint="`rlm run --help` shows how to ask one.")
    if not encodable(question):
        raise UsageError(
            "The question is not a text: it has bytes or characters that UTF-8 does not.",
            hint="In a terminal, use a UTF-8 locale, for example LC_ALL=C.UTF-8.",
        )


async def check_start(question: str, settings: RunSettings) -> None:
    """Check the question and settings of a new run. Raises UsageError with a hint on what to do."""
    check_question(question)
    await check_settings(settings)


async def check_settings(settings: RunSettings) -> None:
    """Check the settings of a new run. Raises UsageError with a hint on what to do."""
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
    check_prices(settings, limited=settings.max_cost is not None)


def check_prices(settings: RunSettings, *, limited: bool) -> None:
    """Check that the prices are known that the settings need. `limited`: `--max-cost` is given. Raises UsageError."""
    if settings.fallback and not price_known(settings.fallback.spec.name, settings.fallback.spec.price):
        raise UsageError(
            f"--then needs a price and none is known for {settings.fallback.spec.name}: it begins without asking.",
            hint="Give it with --price IN,OUT in dollars per million tokens, 0,0 for a server of your own.",
        )
    counted = "--max-cost" if limited else "--approve cost>USD"
    for spec in settings.specs if limited or Gates.of(settings.approve).cost is not None else ():
        if not price_known(spec.name, spec.price):
            flag = "--price" if spec.name == settings.model else "--sub-price"
            raise UsageError(
                f"{counted} needs a price and none is known for {spec.name}.",
                hint=f"Give it with {flag} IN,OUT in dollars per million tokens.",
            )


async def check_models(settings: RunSettings, deps: Dependencies) -> None:
    """Check that clients for the models can be opened. Raises ModelSetupError with a hint on what to do."""
    for spec in settings.specs:
        # In a thread: this imports the provider's package, and kernels are made ready at the same time.
        client = await asyncio.to_thread(deps.open_model, spec)
        await client.aclose()


async def check_room(settings: RunSettings, deps: Dependencies) -> None:
    """Check that the home has room for another run. Raises HomeFull."""
    limit = HomeLimit(deps.stores.size, settings.max_home_size)
    await limit.known()
    limit.need()


async def make_ready(kernels: Kernels, settings: RunSettings) -> None:
    """Prepare kernels, confined as the settings say. Raises NoSandbox, UsageError, KernelStartFailed."""
    if settings.mode == "direct":
        return
    if settings.kernel_provisioner:
        await kernels.try_provisioner(settings.kernel_provisioner)
    else:
        await kernels.warm_up(sandboxed=not settings.unsandboxed, environment=settings.kernel_env)


def check_same_run(thread: Thread, question: str, given: str) -> None:
    """Check that the run asks `question` of the input whose digest is `given`. Raises ThreadExists."""
    if (thread.question, thread.input) != (question, given):
        what = f"something else: {shortened_line(thread.question, 80)}"
        if thread.question == question:
            what = "the same question about another input"
        raise ThreadExists(
            f"The thread {thread.thread_id} exists and asks {what}",
            hint=f"Choose another --thread, or resume it: {cli_command('resume', thread.thread_id)}",
        )


def check_same_input(thread: Thread, reference: ContextRef | None) -> None:
    """Check that the input, if it was read again, is still the run's. Raises ThreadExists."""
    stored: ContextRef | None = thread.start.get("context_ref")
    if reference and stored and not _same(reference, stored):
        raise ThreadExists(
            f"The thread {thread.thread_id} exists, and its input has changed since it was begun.",
            hint=f"Choose another --thread, or resume it with what it has: {cli_command('resume', thread.thread_id)}",
        )


def _same(one: ContextRef, other: ContextRef) -> bool:
    """Return whether two references are to the same texts, even if their files were touched or named from elsewhere."""
    return (one["pack"], one["documents"]) == (other["pack"], other["documents"])


def raised_limits(limits: Limits, raises: dict[str, Any]) -> Limits:
    """Return `limits` with the given values of `raises`. Raises UsageError for an unknown name or an invalid value."""
    if unknown := sorted(set(raises) - set(Limits.model_fields)):
        raise UsageError(f"A resume cannot change {', '.join(unknown)}: a run keeps all but its models and limits.")
    try:
        return limits.raised(raises)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]).replace("_", "-")
        raise UsageError(f"--{name}: {problem['msg']}.") from error


Input = Given | ContextRef
"""An input as the user gave it, or a reference to one that is stored."""


async def enter_run(
    deps: Dependencies,
    thread_id: str | None,
    question: str,
    given: Input | None,
    settings: RunSettings,
    on_event: OnEvent,
) -> str:
    """Enter the run into the index, unless it is there. Return its name, made from the question unless one is given.

    Raises UsageError, InputError, ModelSetupError or NoSandbox, ThreadExists for a thread that asks something else,
    HomeFull when the home has no room for it, all with nothing saved.
    """
    await check_start(question, settings)
    existing = None if thread_id is None else await deps.stores.threads.find(check_name(thread_id))
    reference: ContextRef | None = None
    if existing:
        name = existing.thread_id
        await check_models(settings, deps)
        reference = await same_run(deps, existing, question, given, settings, on_event)
    else:
        check_targets(settings.notify, settings.notify_key, deps.stores.home.parent)
        await check_room(settings, deps)
        reference, seconds = await _stored(deps, given, settings, on_event)
        await check_direct(question, reference, settings, deps.stores)
        fits = settings.mode == "rlm" and await fits_one_call(question, reference, settings, deps.stores)
        name = await _named(deps, thread_id, question, given_digest(given), reference, settings, seconds, on_event)
        if fits:
            on_event({"event": "one_call"})
    check_same_input(await deps.stores.threads.get(name), reference)
    return name


async def same_run(
    deps: Dependencies, run: Thread, question: str, given: Input | None, settings: RunSettings, on_event: OnEvent
) -> ContextRef | None:
    """Return the input as it is now, or None when it cannot have changed. Raises ThreadExists for another run."""
    check_same_run(run, question, given_digest(given))
    if given is None or isinstance(given, str | dict):
        return None
    # Files that are given by name may have changed.
    try:
        return await within_time(settings, store_input(given, deps, settings, on_event))
    except HomeFull as full:
        resume = cli_command("resume", run.thread_id)
        raise HomeFull(full.message, hint=f"{resume} does not read it again. {full.hint}") from None


async def within_time(settings: RunSettings, reading: Awaitable[T]) -> T:
    """Return what is read. Raises TimeSpent when that takes longer than the whole run may."""
    try:
        async with asyncio.timeout(settings.max_time):
            return await reading
    except TimeoutError:
        limit = settings.max_time
        raise TimeSpent(
            f"The time of {limit:g} s was over before the input was read; nothing was saved.",
            hint="Allow more with --max-time, or give a smaller input.",
        ) from None


def given_digest(given: Input | None) -> str:
    """Return a digest that is the same for the same input."""
    return digest("stored", given["pack"], given["index"]) if isinstance(given, dict) else input_digest(given)


async def _stored(
    deps: Dependencies, given: Input | None, settings: RunSettings, on_event: OnEvent
) -> tuple[ContextRef | None, float]:
    """Read an input into the store, and return a reference to it, and the seconds that it was waited for."""
    read = partial(_read, deps, given, settings, on_event)
    return await read_while_preparing(deps, settings, read, ahead=not from_stdin(given))


async def read_while_preparing(
    deps: Dependencies, settings: RunSettings, read: Callable[[threading.Event], Awaitable[T]], *, ahead: bool
) -> tuple[T, float]:
    """Read what is to be stored while models are checked and kernels are made ready.

    Return what was read, and the seconds that it was waited for after that. It is kept only once both have succeeded,
    which `read` sees by its event, so that their errors are reported before those of the input. Not `ahead`: read only
    after them, because standard input may stay open for long, and a thread that waits for it keeps the program from
    ending.
    """
    agreed = threading.Event()
    early = [asyncio.ensure_future(read(agreed))] if ahead else []
    warming = asyncio.create_task(make_ready(deps.kernels, settings))
    try:
        await check_models(settings, deps)
        await warming
        agreed.set()
        begun = deps.clock()
        reading = early[0] if early else read(agreed)
        return await within_time(settings, reading), deps.clock() - begun
    finally:
        for task in (warming, *early):
            task.cancel()
        await asyncio.gather(warming, *early, return_exceptions=True)


async def _read(
    deps: Dependencies, given: Input | None, settings: RunSettings, on_event: OnEvent, agreed: threading.Event
) -> ContextRef | None:
    if given is None or isinstance(given, dict):
        return given
    return await store_input(given, deps, settings, on_event, agreed)


async def _named(
    deps: Dependencies,
    thread_id: str | None,
    question: str,
    given: str,
    reference: ContextRef | None,
    settings: RunSettings,
    seconds: float,
    on_event: OnEvent,
) -> str:
    """Enter a new run into the index, under an unused name unless one is given. Return its name."""
    add = partial(_add, deps, question=question, given=given, reference=reference, settings=settings, seconds=seconds)
    if thread_id is not None:
        try:
            await add(thread_id)
        except ThreadExists:
            # Another process has started it in the meantime.
            check_same_run(await deps.stores.threads.get(thread_id), question, given)
        return thread_id

    async def enter(name: str) -> None:
        on_event({"event": "named", "thread_id": name})
        await add(name)

    return await under_a_free_name(question, enter)


async def under_a_free_name(question: str, enter: Callable[[str], Awaitable[None]]) -> str:
    """Call `enter` with names made from the question until it raises no ThreadExists. Return the last one."""
    for name in names_for(question):
        with contextlib.suppress(ThreadExists):
            await enter(name)
            return name
    raise AssertionError("there are names without end")


async def _add(deps: Dependencies, thread_id: str, **facts: Any) -> None:
    await deps.stores.database.commit(entering_run(deps, thread_id, **facts), "thread")


def entering_run(
    deps: Dependencies,
    thread_id: str,
    *,
    question: str,
    given: str,
    reference: ContextRef | None,
    settings: RunSettings,
    seconds: float = 0.0,
) -> Unit:
    """Return the unit that enters a new run into the index; it raises ThreadExists when the name is taken.

    `given` is the digest of its input; `seconds`: the time that reading it took.
    """
    # Until this row exists, only their age protects the input's blobs from `gc` (`state/blobs/store.py`).
    start: RunInput = {"question": question, "context_ref": reference, "settings": settings.frozen()}
    return deps.stores.threads.entering(
        thread_id,
        question=question,
        input_digest=given,
        start=cast(dict[str, Any], start),
        model=settings.model,
        limits=Limits.of(settings),
        seconds=seconds,
    )
