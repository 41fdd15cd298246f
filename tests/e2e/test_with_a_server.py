"""A run against a model server: the requests it receives, its faults, and what is saved of them."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from tests.scripts import repl
from tests.servers.openai_server import Fault, ScriptedServer

CLASSES = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")


def by_turn(*replies: str) -> Any:
    """Return a root model that replies in order."""

    def root(messages: list[dict[str, str]]) -> str:
        return replies[sum(message["role"] == "assistant" for message in messages)]

    return root


def models(server: ScriptedServer) -> dict[str, Any]:
    return {"model": "openai:root", "sub_model": "openai:sub", "base_url": server.base_url}


async def test_classifying_thousands_of_lines_counts_them_exactly(runner: Runner, tmp_path: Path) -> None:
    labels = [CLASSES[(n * 7 + n // 11) % 6] for n in range(2_000)]
    questions = tmp_path / "questions.txt"
    questions.write_text("".join(f"question {n}?\n" for n in range(len(labels))))

    def sub(prompt: str) -> str:
        return "\n".join(labels[int(n)] for n in re.findall(r"question (\d+)\?", prompt))

    root = by_turn(
        repl("lines = context.splitlines()\nprint(len(lines))"),
        repl(
            "from collections import Counter\n"
            "batches = ['Classify:\\n' + '\\n'.join(lines[i : i + 50]) for i in range(0, len(lines), 50)]\n"
            "answers = llm_query_batched(batches)\n"
            "counts = Counter(label for answer in answers for label in answer.split())\n"
            "print(counts)"
        ),
        repl("FINAL(dict(counts))"),
    )
    with ScriptedServer(root=root, sub=sub, latency=0.01) as server:
        run = await runner.run("How many of each class?", questions, **models(server))
    assert run.answer == dict(Counter(labels))
    calls = await runner.queries.calls(run.thread_id)
    assert len(calls) == 40 and run.usage["model_calls"] == 43 == len(server.requests)
    assert 1 < server.peak <= 32


async def test_requests_contain_the_question_the_last_code_and_unchanged_prompts(
    runner: Runner, tmp_path: Path
) -> None:
    prompt = "  What is «this»?\n\n```repl\nnot code\n```  "
    reply = repl(f"x = llm_query({prompt!r})")
    with ScriptedServer(root=by_turn(reply, repl("FINAL(x)")), sub=lambda text: text) as server:
        run = await runner.run("Is it *exactly* this?", "input", **models(server))
    assert run.answer == prompt
    roots = [r.body["messages"] for r in server.requests if r.body["model"] == "root"]
    subs = [r.body["messages"] for r in server.requests if r.body["model"] == "sub"]
    assert subs == [[{"role": "user", "content": prompt}]]
    assert all(any("Is it *exactly* this?" in message["content"] for message in messages) for messages in roots)
    assert {"role": "assistant", "content": reply} in roots[1]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("status", status=401), "key"),
        (Fault("status", status=404), "root"),
        (Fault("html"), "root"),
    ],
    ids=["401", "404", "html"],
)
async def test_a_refusal_of_the_server_fails_the_run_in_a_sentence_and_the_run_resumes_later(
    runner: Runner, fault: Fault, said: str
) -> None:
    with ScriptedServer(root=by_turn(repl("FINAL(1)")), sub=str.upper, faults=[fault]) as server:
        run = await runner.run("Q?", **models(server))
        assert (run.status, run.exit_code) == ("failed", 1)
        assert run.error is not None and said in run.error["message"] and "Traceback" not in run.error["message"]
        server.faults.clear()
        assert (await runner.resume(run.thread_id)).answer == 1


async def test_one_failed_call_of_a_batch_costs_no_other_call(runner: Runner) -> None:
    code = "got = llm_query_batched(['a', 'poison', 'c'])\nFINAL([bool(g) for g in got] + [str(got[1].error)])"
    poison = Fault("status", status=400, when=lambda body: "poison" in str(body), times=99)
    with ScriptedServer(root=by_turn(repl(code)), sub=str.upper, faults=[poison]) as server:
        run = await runner.run("Q?", **models(server))
    assert run.answer[:3] == [True, False, True] and "400" in run.answer[3]


async def test_no_saved_file_contains_a_key(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-where-it-must-not-go")
    code = "import os\nprint(dict(os.environ))\ntry:\n    llm_query('x')\nexcept SubCallError as e:\n    print(e)"
    fault = Fault("status", status=401, when=lambda body: body["model"] == "sub", times=99)
    with ScriptedServer(root=by_turn(repl(code), repl("FINAL(1)")), sub=str.upper, faults=[fault]) as server:
        run = await runner.run("Q?", "input", **models(server))
        assert "sk-planted" in server.requests[0].headers["authorization"]
    assert run.status == "answered"
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            assert b"sk-planted" not in path.read_bytes(), path
