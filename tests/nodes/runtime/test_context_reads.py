"""Cells that read the input, and cells that look at its size and names at most."""

import time

import pytest

from durable_rlm.nodes.runtime.context_reads import reads_context

READING = [
    "print(context[:100])",
    "FINAL(len(context.splitlines()))",
    "FINAL('a' in context)",
    "print(context)",
    "print(f'{context}')",
    "s = str(context)",
    "for line in context: print(line)",
    "print([d.text for d in context])",
    "print([d[:50] for d in context])",
    "for d in context:\n    if 'x' in d: print(d.name)",
    "for i, d in enumerate(context):\n    print(i, d.text[:10])",
    "print(context[0])",
    "print(len(context[context.find('x'):]))",
    "import re\nFINAL(re.findall('x', context))",
    "FINAL(llm_query('Summarise: ' + context))",
    "FINAL(rlm_query('Q?', context=context))",
    "c = context\nprint(len(c))",
    "def head(): return context[:5]\nFINAL(head())",
    "first, second = context",
    "for d, e in context: pass",
    "for i in enumerate(context): print(i)",
    "match context:\n    case str(): print(1)",
    "if context: print(1)",
    "print(globals()['con' + 'text'])",
    'FINAL(f\'Yes {cite("a.txt", "the words")}\')',
    "exec('print(con' + 'text)')",
    "import __main__ as m\nprint(m)",
    "FINAL_VAR('context')",
    "get_ipython().run_cell('x')",
    "%time print(1)",
    "this is no code",
    "await allm_query(context)",
    "print(context.lines(1, 20))",
    "print(context.page(3))",
    "print(context.pages[2])",
    "for page in context.pages: print(page[:100])",
    "print(len(context.sections()))",
    "print([row for row in context[0].rows()])",
    "print(context.places)",
]
NOT_READING = [
    "FINAL(42)",
    "FINAL(llm_query('say yes'))",
    "FINAL(await allm_query('say yes'))",
    "print(len(context))",
    "print(type(context), len(context), type(context).__name__)",
    "print(isinstance(context, str), bool(context))",
    "print(context.name, context.meta)",
    "print(context[0].name, context[-1].meta['page'], len(context[0]), len(context[0].text))",
    "print([d.name for d in context])",
    "for d in context[:5]: print(d.name, len(d))",
    "for i, d in enumerate(context, 1):\n    print(i, d.name, d.meta)",
    "print({d.name: len(d.text) for d in context}, sum(len(d) for d in context))",
    "print(context.names[:5], context.total_chars)",
    "print(context.line_count, context.sheets, context.skipped, context.notes)",
    "print(len(context.pages), len(context.pages[3]))",
    "for d in context: print(d.name, len(d.pages), d.line_count)",
    "print([len(page) for page in context.pages])",
    "print('the context is long')",
    "context = 'other'",
    "",
]


@pytest.mark.parametrize("code", READING)
def test_code_that_reads_the_input(code: str) -> None:
    assert reads_context([code])
    assert reads_context(["x = 1", code])


@pytest.mark.parametrize("code", NOT_READING)
def test_code_that_does_not_read_the_input(code: str) -> None:
    assert not reads_context([code])
    assert not reads_context(["x = 1", code])


@pytest.mark.parametrize(
    "code",
    [
        "(" * 5_000 + "1" + ")" * 5_000,
        "[" * 150 + "]" * 150,
        "x" + ".name" * 9_000,
        "x" + "[0]" * 9_000,
        "-" * 40_000 + "1",
        "1" + "+1" * 20_000,
        "x = 1\n" * 8_000,
        "for d in context: d.name\n" * 1_900,
        "\x00\ud800",
        "len(" * 80 + "context" + ")" * 80,
        "x = 1\n" * 1_000_000,
    ],
    ids=lambda code: f"{len(code)} characters of {code[:8]!a}",
)
def test_hostile_code_is_judged_quickly(code: str) -> None:
    began = time.process_time()
    assert reads_context([code]) in (True, False)
    assert time.process_time() - began < 2
