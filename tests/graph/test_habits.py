"""Habits of real servers and models, from what their users report: each ends in the right answer, or says why not.

Runs against servers on loopback, through the real client.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from durable_rlm import Run, Runner
from tests.servers.habits import Body, HabitServer, Handle, Response, completion, habit_server, is_root, refusal, stream

CODE = "```repl\nFINAL(llm_query('say yes to ' + context))\n```"
DRAFT = "```repl\nFINAL('draft')\n```"
LOOK = "```repl\nprint(len(context.splitlines()))\n```"
TYPED = (
    '```repl\nx = llm_query(context, schema={"type": "object", "properties": {"a": {"type": "integer"}}, '
    '"required": ["a"], "additionalProperties": False})\nFINAL(x["a"])\n```'
)
LISTED = """```repl
x = llm_query("give", schema={"type": "array", "items": {"type": "integer"}})
print(context)
FINAL(x[0])
```"""
CONTEXT = "alpha\nbeta\ngamma\n"


def ordinary(body: Body, number: int) -> Response:
    del number
    return completion(CODE if is_root(body) else "yes")


def turn(body: Body) -> int:
    return sum(message["role"] == "assistant" for message in body["messages"]) + 1


def thinking(thought: str) -> Handle:
    """A model whose first reply begins with a draft in a thought, and which answers in its second one."""

    def handle(body: Body, number: int) -> Response:
        del number
        return completion(thought.format(DRAFT) + LOOK if turn(body) == 1 else "```repl\nFINAL('checked')\n```")

    return handle


def sub_calls(root: str, *replies: Response) -> Handle:
    """A root model that sends `root`, and replies to its sub-calls in order, the last one for ever."""
    served = iter(replies)

    def handle(body: Body, number: int) -> Response:
        del number
        return completion(root) if is_root(body) else next(served, replies[-1])

    return handle


def refuses_forms(response: Response) -> Handle:
    def handle(body: Body, number: int) -> Response:
        del number
        if "response_format" in body:
            return response
        return completion(TYPED if is_root(body) else '{"a": 5}')

    return handle


def refuses(wrong: Callable[[Body], bool], response: Response) -> Handle:
    """A server that refuses a request for which `wrong(body)` is true."""
    return lambda body, number: response if wrong(body) else ordinary(body, number)


def window(body: Body, number: int) -> Response:
    prompt = sum(len(message["content"]) for message in body["messages"]) // 4
    asked = body["max_tokens"]
    if prompt + asked > 5_120:
        said = f"The maximum context length is 5120 tokens; you asked for {asked} output tokens and sent {prompt}."
        return refusal(said)
    return ordinary(body, number)


def broken_off(body: Body, number: int) -> Response:
    if is_root(body):
        return completion("```repl\nFINAL(llm_query('List all names in ' + context))\n```")
    if number == 2:
        response = completion("Ann, Bob, Ca", finish="error")
        response.body["choices"][0]["error"] = {"code": 502, "message": "upstream closed"}
        return response
    return completion("Ann, Bob, Carl, Dora")


def cut_in_thought(body: Body, number: int) -> Response:
    if is_root(body) and number <= 2:
        return completion(None, finish="length", reasoning_content="hm " * 50)
    return ordinary(body, number)


def broken_stream(body: Body, number: int) -> Response:
    if number > 1:
        return ordinary(body, number)
    half = stream("```repl\nFINAL('half an answer')\n```").body.partition('"stop"')[0].rpartition("data:")[0]
    return Response(half, content_type="text/event-stream")


def endless_stream(body: Body, number: int) -> Response:
    """A model whose first reply repeats itself, in a block that would finish."""
    if number > 1:
        return ordinary(body, number)
    return stream("```repl\nFINAL('wrong')\n" + "print('I look again')\n" * 1_000)


def absurd_usage(body: Body, number: int) -> Response:
    response = ordinary(body, number)
    counts = ("a lot", -5) if is_root(body) else (10**30, 1.5)
    response.body["usage"] = {
        "prompt_tokens": counts[0],
        "completion_tokens": counts[1],
        "total_tokens": [],
        "prompt_tokens_details": "none",
        "completion_tokens_details": {"reasoning_tokens": -1},
    }
    return response


def listed(answer: Callable[[Body], str]) -> Handle:
    """A model that is asked for a list."""

    def handle(body: Body, number: int) -> Response:
        del number
        return completion(LISTED if is_root(body) else answer(body))

    return handle


TOOL_CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "repl", "arguments": json.dumps({"code": "FINAL(len(context.splitlines()))"})},
}
NO_FORMAT = "'response_format.type' must be 'text'"


@dataclass(frozen=True)
class Habit:
    """A server or model, the answer of a run with it, and the requests that the run takes."""

    name: str
    handle: Handle
    answer: Any
    requests: int


HABITS = [
    Habit("none", ordinary, "yes", 2),
    Habit("a thought", thinking("<think>\nPerhaps\n{}\nno.\n</think>\n"), "checked", 2),
    Habit("a thought in another tag", thinking("<mm:think>Perhaps\n{}\nno.</mm:think>\n"), "checked", 2),
    Habit("a thought that closes in mid-line", thinking("Perhaps\n{}\nbut look first.</think>\n"), "checked", 2),
    Habit("a thought of Magistral", thinking("[THINK]Perhaps\n{}\nno.[/THINK]\n"), "checked", 2),
    Habit(
        "a thought of gpt-oss",
        thinking("<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>"),
        "checked",
        2,
    ),
    Habit(
        "a thought before a sub-answer",
        sub_calls(
            "```repl\na = llm_query(context)\nFINAL('no' if 'no' in a else 'yes')\n```",
            completion("<think>no?</think>yes"),
        ),
        "yes",
        2,
    ),
    Habit("a thought before JSON", sub_calls(TYPED, completion('<think>{"a": 7}?</think>{"a": 5}')), 5, 2),
    Habit(
        "a template token at the end",
        sub_calls("```repl\nFINAL(llm_query(context))\n<|im_end|>", completion("yes<|im_end|>")),
        "yes",
        2,
    ),
    Habit("cut while it thinks", cut_in_thought, "yes", 4),
    Habit(
        "a tool that was not offered", lambda body, number: completion(None, "tool_calls", tool_calls=[TOOL_CALL]), 3, 1
    ),
    Habit(
        "no role",
        lambda body, number: Response(
            {"choices": [{"message": {"content": ordinary(body, number).body["choices"][0]["message"]["content"]}}]}
        ),
        "yes",
        2,
    ),
    Habit("an answer that broke off", broken_off, "Ann, Bob, Carl, Dora", 3),
    Habit("response_format refused by a text", refuses_forms(Response({"error": NO_FORMAT}, 400)), 5, 3),
    Habit(
        "response_format refused in plain text",
        refuses_forms(Response("no response_format here", 400, "text/plain")),
        5,
        3,
    ),
    Habit(
        "response_format refused by FastAPI",
        refuses_forms(Response({"detail": [{"loc": ["body", "response_format"], "msg": "no extra inputs"}]}, 422)),
        5,
        3,
    ),
    Habit(
        "no system role",
        refuses(lambda body: body["messages"][0]["role"] == "system", refusal("System role not supported")),
        "yes",
        3,
    ),
    Habit(
        "a range of output tokens",
        refuses(lambda body: body["max_tokens"] > 2048, refusal("max_tokens is not valid: it must be in [1, 2048]")),
        "yes",
        3,
    ),
    Habit(
        "credit for a shorter answer",
        refuses(
            lambda body: body["max_tokens"] > 1204, refusal("More credits or fewer max_tokens: 1204 can be paid", 402)
        ),
        "yes",
        3,
    ),
    Habit("a small window", window, "yes", 3),
    Habit(
        "streaming only, answered whole",
        refuses(lambda body: not body.get("stream"), refusal("non-streaming calls must set enable_thinking to false")),
        "yes",
        3,
    ),
    Habit(
        "no stream options",
        refuses(lambda body: "stream_options" in body, refusal("stream_options: unknown")),
        "yes",
        3,
    ),
    Habit(
        "no streams",
        refuses(lambda body: bool(body.get("stream")), refusal("You must be verified to stream this model")),
        "yes",
        3,
    ),
    Habit("streams that break off", broken_stream, "yes", 3),
    Habit("a stream that is never done", endless_stream, "yes", 3),
    Habit("usage that cannot be true", absurd_usage, "yes", 2),
    Habit("a list in an object", listed(lambda body: '{"value": [5, 6]}'), 5, 2),
    Habit("a list without its object", listed(lambda body: "[5, 6]"), 5, 2),
    Habit("streams unasked", lambda body, number: stream(CODE if is_root(body) else "yes"), "yes", 2),
]


async def ask(runner: Runner, server: HabitServer, **settings: Any) -> Run:
    return await runner.run(
        "How many lines?", CONTEXT, model="openai:m", base_url=server.base_url, max_turns=4, **settings
    )


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
async def test_a_run_ends_in_the_right_answer(runner: Runner, habit: Habit) -> None:
    with habit_server(habit.handle) as server:
        run = await ask(runner, server)
    assert (run.status, run.answer) == ("answered", habit.answer), run.error
    assert len(server.requests) == habit.requests


async def test_a_direct_answer_is_without_its_thought(runner: Runner) -> None:
    with habit_server(lambda body, number: completion("1. alpha.\n2. It is not 4.</think>3")) as server:
        run = await ask(runner, server, mode="direct")
    assert run.answer == "3"


async def test_thoughts_are_kept_with_their_turn(runner: Runner) -> None:
    with habit_server(thinking("<think>Perhaps\n{}\n</think>\n")) as server:
        run = await ask(runner, server)
    first, second = (await runner.queries.show(run.thread_id, runner.graph))["turns"]
    assert first["thoughts"] == f"Perhaps\n{DRAFT}" and first["reply"].strip() == LOOK
    assert second["thoughts"] is None


async def test_a_model_that_only_thinks_is_asked_once_a_turn_and_never_answered_for(runner: Runner) -> None:
    with habit_server(lambda body, number: completion(None, reasoning_content=f"I compute.\n{CODE}")) as server:
        run = await ask(runner, server)
    assert (run.status, run.answer, len(server.requests)) == ("budget", None, 4)


async def test_a_model_that_writes_no_code_ends_the_run_after_four_turns(runner: Runner) -> None:
    with habit_server(lambda body, number: completion("There are three lines.")) as server:
        run = await runner.run("How many?", CONTEXT, model="openai:m", base_url=server.base_url)
        assert run.status == "failed" and run.error and "wrote no code in 4 turns" in run.error["message"]
        assert (await runner.resume(run.thread_id)).status == "failed"
    assert len(server.requests) == 4


async def test_a_spent_quota_in_a_list_is_asked_for_once(runner: Runner) -> None:
    quota = Response([{"error": {"code": 429, "message": "You exceeded your current quota"}}], 429)
    with habit_server(lambda body, number: quota) as server:
        run = await ask(runner, server)
    assert run.error and "no quota or credit left (429: You exceeded" in run.error["message"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Response("Blocked by the gateway: use the VPN.", 403, "text/plain"), "Blocked by the gateway: use the VPN"),
        (
            Response("<html><body><h1>Blocked</h1> Use the VPN.</body></html>", 403, "text/html"),
            "a web page: Blocked Use the VPN",
        ),
        (Response({"error": "no such model"}, 404), "no such model"),
        (Response({"detail": "no such model"}, 404), "no such model"),
    ],
    ids=["plain text", "a web page", "an error that is a text", "a detail"],
)
async def test_the_words_of_the_server_reach_the_user(runner: Runner, response: Response, said: str) -> None:
    with habit_server(lambda body, number: response) as server:
        run = await ask(runner, server)
    assert run.status == "failed" and run.error and said in run.error["message"]


async def test_a_limit_is_learnt_once_for_all_requests_to_a_server(runner: Runner) -> None:
    handle = refuses(lambda body: body["max_tokens"] > 2048, refusal("max_tokens must be at most 2048"))
    with habit_server(handle) as server:
        run = await ask(runner, server)
    assert run.status == "answered" and [body["max_tokens"] for body in server.requests] == [4096, 2048, 2048]
