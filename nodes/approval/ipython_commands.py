"""Find what IPython would run as its own in a block: line and cell commands, and lines that Python does not see."""

import re

_ODD_LINE_END = re.compile(r"\r(?!\n)|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_COMMAND_LINE = re.compile(r"[ \t]*(?:[%!?,;/]|>>>|In \[)|[^#'\"]*=[ \t]*[%!]|[\w.* \t]+\?{1,2}[ \t]*$")
_PROMPT = re.compile(r"\s*In \[\d+\]:")
_FIRST_WORD = re.compile(r"\w+(?![\w.]|\s*=[^=])")
_BARE = """
alias alias_magic autocall automagic cat cd code_wrap conda cp debug ed edit env gui killbgscripts ldir lf lk ll load
load_ext loadpy logon logstart ls lx macro magic mamba matplotlib micromamba mkdir mv notebook pastebin pdb pip popd
prun pushd pycat pylab recall rehashx reload_ext rep rerun reset reset_selective rm rmdir run save sc set_env sx system
time timeit unalias unload_ext uv xdel
"""
_BARE_COMMANDS = frozenset(_BARE.split())
"""Commands that IPython knows without their `%`, at the beginning of a cell of one line."""


def commands_in(block: str, *, parses: bool) -> list[tuple[int, str]]:
    """Return the numbers, from 1, of lines that IPython would treat as its own, each with a description.

    `parses`: the block is Python as it is, so that only few kinds of commands are possible.
    """
    found: list[tuple[int, str]] = []
    if odd := _ODD_LINE_END.search(block):
        # IPython ends a line here and Python does not: what follows a comment may be run as a command.
        found.append((block.count("\n", 0, odd.start()) + 1, "holds a line break that may hide what comes after it"))
    stripped = block.strip()
    word = _FIRST_WORD.match(stripped)
    if _PROMPT.match(block) or (word and "\n" not in stripped and word[0] in _BARE_COMMANDS):
        before = block[: len(block) - len(block.lstrip())]
        found.append((before.count("\n") + 1, "is a command of IPython's, or may be one"))
    if not parses:
        lines = enumerate(block.split("\n"), 1)
        found += [(number, "looks like a command of IPython's") for number, line in lines if _COMMAND_LINE.match(line)]
    return found
