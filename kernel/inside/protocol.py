"""Names and numbers that the kernel host and the kernel must agree on. Both import them from here."""

from typing import Final


class Message:
    """The types of the messages that host and kernel exchange beside Jupyter's own.

    "Attached" are bytes in the message's buffers, which the host passes on without parsing them. JSON there is UTF-8
    and may have lone surrogates. Of a message with a reply, the reply's type is the message's with `_reply`.
    """

    SETUP: Final = "rlm_setup"
    """Host, shell channel: puts the REPL's names in place. Its content is what `session.KernelSpec.setup` returns."""
    SETUP_REPLY: Final = "rlm_setup_reply"
    """Kernel: `{status: "ok"}` or `{status: "error", message}`."""
    CELL: Final = "rlm_cell"
    """Host, shell channel: runs a cell. `{blocks, history}`: its code, and the entries that `history` gains."""
    CELL_REPLY: Final = "rlm_cell_reply"
    """Kernel: how the cell ended, and the variables that it changed. Attached JSON: `messages.py` has its form."""
    CHUNKS: Final = "rlm_chunks"
    """Host, shell channel, before `RESTORE` or `COMPARE`: chunks of saved variables. `{hashes, sizes}`, attached bytes.

    Kernel, before `CELL_REPLY`: chunks of the changed variables. `{sizes}`, attached bytes. It has no reply.
    """
    ANSWER_PART: Final = "rlm_answer_part"
    """Kernel, before `CELL_REPLY`: a part of its final value. Attached: rows of a table as JSON, or bytes of files.

    First come the batches of the table, then the files, one after the other; the final value says how many. It has no
    reply; a kernel sends `PARTS_AHEAD` more than the host has taken at most.
    """
    TAKEN: Final = "rlm_taken"
    """Host, control channel: it has taken one more `ANSWER_PART`. It has no reply."""
    RESTORE: Final = "rlm_restore"
    """Host, shell channel: loads saved variables. `{groups}`, as `CELL_REPLY` has them."""
    RESTORE_REPLY: Final = "rlm_restore_reply"
    """Kernel: the variables that were restored, and those that were not. Attached JSON `{names, lost, notes}`."""
    COMPARE: Final = "rlm_compare"
    """Host, shell channel: compares saved variables with the present ones. `{groups}`, as `CELL_REPLY` has them."""
    COMPARE_REPLY: Final = "rlm_compare_reply"
    """Kernel: the variables that differ. Attached JSON `{other}`."""
    ATTACH: Final = "rlm_attach"
    """Host, control channel: has every posted call sent from then on. `{window}`: the most that may be sent ahead.

    The weight of calls that are not yet acknowledged stays at about `window` at most. A later attach replaces it and
    begins again with every call that still waits, so that a lost message loses no call. Its replies are `CALLS`.
    """
    CALLS: Final = "rlm_calls"
    """Kernel, control channel: posted calls, as further replies to `ATTACH`. Attached JSON: a list of them, by `id`.

    A call is `{kind, prompt, arguments, options, origin: {block, line, ranges: [[document, start, end]]}, attachments}`
    with `id` and `rest`, which its delivery needs. All but `kind` and `prompt` may be left out, and nothing else may be
    in it. `options` are `model`, `schema`, `cache`, `context` and `max_tokens`; `arguments` an object for a tool;
    `attachments` content hashes. `posted_calls.py` has the limits. A call of the kind `search` has the words as
    `prompt` and `{k, ranges}` as `arguments`: the most hits, and the parts of the pack, `[[first byte, end], …]`, in
    which they begin; without `ranges` anywhere. Its answer is a list of hits (`search.SearchHit`).
    """
    ANSWER: Final = "rlm_answer"
    """Host, control channel: settles calls. `{ack, outcomes: [[id, outcome], …]}`. It has no reply."""


def reply_to(message: str) -> str:
    """Return the type of the reply to a message of this type."""
    return f"{message}_reply"


CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
"""Jupyter's channels in the order of their ports, 1 to 5."""
SCRATCH = "/scratch"
"""The scratch folder in a kernel's own root."""
DEVICES = ("null", "zero", "full", "random", "urandom")
"""The device files in a kernel's own root."""
PROCESSES = 512
"""Processes of a kernel and their threads together, at most."""
MAX_PROMPT = 64 << 20
"""Characters of one prompt together with the text that is sent with it as its context, at most."""
MAX_SCHEMA, MAX_DEPTH = 1 << 20, 100
"""Characters of a schema's JSON, and the nesting of a schema, of metadata and of a final value, at most."""
MOST_BLOCKS = 1_000
"""The most blocks of a cell that are measured."""
MAX_OUTPUT_TOKENS = 1_000_000
"""The largest output limit that code may ask for."""
MAX_CITATIONS, MAX_QUOTE, MAX_CITED = 10_000, 100_000, 16 << 20
"""Citations of a final value, characters of the words of one, and characters of all of them, at most."""
MAX_WORDS, MAX_WORD, MAX_HITS, MAX_SEARCHED = 64, 100, 1_000, 10_000
"""Words of a search, characters of each, hits, and parts of the input to which a search is restricted, at most."""
CALL_WEIGHT, PART_WEIGHT = 1 << 10, 1 << 8
"""Weight of a call, and of each text of its context, range and attachment, beside their characters."""
PARTS_AHEAD = 4
"""Parts of an answer that a kernel sends before the host has taken them, at most."""
MOST_TABLE_BYTES, MOST_BATCH_BYTES, MOST_COLUMNS = 2 << 30, 64 << 20, 20_000
"""Bytes of a table's JSON and of one batch of it, and its columns, at most."""
ANSWER_FILES = "answer_files"
"""The folder below the scratch folder whose files are part of an answer."""
MOST_FILES, MOST_FILE_BYTES, FILES_DEEP = 1_000, 2 << 30, 8
"""Files of an answer, their bytes together, and the parts of a file's path, at most."""
MAX_DISPLAYS, DISPLAY_LEVELS = 4096, 5
"""Bytes of JSON of the display forms of a turn together, and the nesting of one, at most."""
OTHERS_CHANGED = "…"
"""In place of a name among display forms: variables have changed that are not named."""
