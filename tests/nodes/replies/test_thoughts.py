"""Thoughts are taken off a reply where it arrives; text that only mentions them keeps them."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_rlm.nodes.replies.extract_code import read_reply
from durable_rlm.nodes.replies.thoughts import take_off_thoughts

DRAFT = "```repl\nFINAL('draft')\n```"
NAMES = ["think", "thinking", "thought", "reasoning", "mm:think", "seed:think", "THINK", "Thinking"]
HARMONY = "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{answer}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("between", ["", "\n", "\n\n"])
def test_a_tagged_thought_is_taken_off(name: str, between: str) -> None:
    spoken = take_off_thoughts(f"<{name}>{between}Hm.\n{DRAFT}\nNo.{between}</{name}>{between}5")
    assert (spoken.text, spoken.thoughts) == ("5", (f"Hm.\n{DRAFT}\nNo.",))


@pytest.mark.parametrize(
    ("reply", "text", "thoughts"),
    [
        ("[THINK]Hm.[/THINK]5", "5", ("Hm.",)),
        ("1. Count.\n2. It is not 4.</think>5", "5", ("1. Count.\n2. It is not 4.",)),
        (f"Hm.\n{DRAFT}\nNo.</think>\n5", "5", (f"Hm.\n{DRAFT}\nNo.",)),
        ("Hm.\n```repl\nFINAL('draft')\nNo.</think>\n5", "5", ("Hm.\n```repl\nFINAL('draft')\nNo.",)),
        (f"<think>\n{DRAFT}", "", (DRAFT,)),
        ("<think>a</think>\n<think>b</think>\n5", "5", ("a", "b")),
        ("One.\n<think>a</think>\nTwo.", "One.\n\nTwo.", ("a",)),
        ("One. <think>a</think> Two.", "One.  Two.", ("a",)),
        ('<think level="high">a</think>5', "5", ("a",)),
        ("<think></think>\n\n5", "5", ()),
        (HARMONY.format(thought="Hm.", answer="5"), "5", ("Hm.",)),
        (HARMONY.format(thought="Hm.", answer="5<|return|>"), "5", ("Hm.",)),
        ("Hm.<|end|><|start|>assistant<|channel|>final<|message|>5", "5", ("Hm.",)),
        ("<|channel|>analysis<|message|>Hm.", "", ("Hm.",)),
        ("5<|im_end|>", "5", ()),
        ("5 <|eot_id|>\n<|endoftext|>\n", "5 ", ()),
        ("<|im_start|>assistant\n5</s>", "\n5", ()),
    ],
)
def test_the_answer_is_the_text_without_thoughts(reply: str, text: str, thoughts: tuple[str, ...]) -> None:
    spoken = take_off_thoughts(reply)
    assert (spoken.text, spoken.thoughts) == (text, thoughts)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "The `<think>` tag opens and the `</think>` tag closes a thought.",
        "It splits at '</think>' and \"</thinking>\".",
        "In <think> there is no end.",
        "```html\n<think>a</think>\n```",
        "```repl\ns = '''\n<think>a\n</think>\n'''\nprint(s)\n```",
        "```repl\ns = '''\n```\n<think>\n```\n'''\nprint(s)\n```",
        '{"text": "<think>a</think>"}',
        '["<think>", "</think>"]',
        "<case>\n<reasoning>a</reasoning>\n</case>",
        "<p><s>gone</s>",
        "The token `<|channel|>final<|message|>` begins the answer.",
        "`<|im_end|>`",
        "<|start|>assistant: <|channel|> is a token.",
    ],
)
def test_a_text_that_mentions_tags_keeps_them(text: str) -> None:
    assert take_off_thoughts(text).text == text


def test_text_behind_a_thousand_tags_is_not_run() -> None:
    reply = "<think></think>\n" * 600 + f"<think>{DRAFT}</think>"
    assert read_reply(take_off_thoughts(reply).text).blocks == ()


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<think>",
            "a <think>",
            "</think>",
            "<think></think>\n",
            "[THINK]",
            "<think x",
            "<|im_end|>",
            "```\n<think>\n",
        ),
        *("<|channel|>a<|message|>", "```repl\nx </think>\n", "<|im_start|>assistant", "<|start|>", '"<think>"'),
    ],
)
def test_the_cost_is_linear(piece: str) -> None:
    started = time.process_time()
    take_off_thoughts(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 2


PROSE = st.sampled_from(["I look first.", "Then:", "- a point", "The tag `</think>` ends it.", "a < b > c"])
CODE = ["print({})", "s = '</think>'\nprint({})", "s = '''\n<think>\n```\n'''\nprint({})", "# <thought>\nprint({})"]
THOUGHTS = st.one_of(
    st.sampled_from(NAMES).map(lambda name: f"<{name}>{{}}</{name}>"),
    st.sampled_from(NAMES).map(lambda name: f"<{name}>\n{{}}\n</{name}>"),
    st.just("[THINK]{}[/THINK]"),
)
DRAFTS = ["```repl\nFINAL({})\n```", "Hm.\n```python\nFINAL({})\n```\nNo.", "FINAL({})", "```repl\nFINAL({})\n"]


@settings(max_examples=1_000, deadline=None)
@given(st.data())
def test_no_thought_runs_and_no_code_is_lost(data: st.DataObject) -> None:
    """A beginning that was thought with its tag in the prompt, then prose, code and thoughts in any order."""
    parts: list[str] = []
    blocks: list[str] = []
    if data.draw(st.booleans()):
        parts.append(f"{data.draw(st.sampled_from(DRAFTS)).format(0)} Really?</think>")
    for number in range(1, data.draw(st.integers(1, 6))):
        match data.draw(st.sampled_from(["prose", "code", "thought"])):
            case "prose":
                parts.append(data.draw(PROSE))
            case "code":
                blocks.append(data.draw(st.sampled_from(CODE)).format(number))
                parts.append(f"```repl\n{blocks[-1]}\n```")
            case _:
                parts.append(data.draw(THOUGHTS).format(data.draw(st.sampled_from(DRAFTS)).format(number)))
    reply = "\n".join(parts) + data.draw(st.sampled_from(["", "<|im_end|>", "\n</s>", "\n<think>FINAL(9)"]))
    assert read_reply(take_off_thoughts(reply).text).blocks == tuple(blocks)
