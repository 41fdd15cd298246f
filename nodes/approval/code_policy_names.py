"""Names by which the code policy judges code: what writes, starts programs, asks models, or hides what is done.

A name counts whatever is before its dot, because types are not known. Lists of what is harmless are used where a module
is mostly harmful (`os`), lists of what is harmful elsewhere.

For some names the arguments of a call decide: whether it reads or writes, text or a file.
"""

import ast
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["writes", "opaque"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DEFAULT_IMPORTS = _words("""
    __future__ abc array asyncio base64 binascii bisect calendar cmath collections colorsys concurrent.futures
    contextlib copy csv dataclasses datetime dateutil decimal difflib enum fractions functools graphlib hashlib heapq
    html ipaddress itertools json math numbers numpy operator pandas pprint pydantic queue random re regex statistics
    string struct textwrap threading time typing typing_extensions unicodedata uuid zlib zoneinfo
    """)
"""Modules for analysis alone: what `code:imports` lets pass unless other modules are given."""

SINGLE_QUERIES = frozenset({"llm_query", "allm_query"})
AWAITED_QUERIES = frozenset({"allm_query", "arlm_query"})
BATCHED_QUERIES = frozenset({"llm_query_batched", "map_query", "rlm_query_batched"})
WORKER_QUERIES = frozenset({"rlm_query", "arlm_query"})
QUERIES = SINGLE_QUERIES | BATCHED_QUERIES | WORKER_QUERIES

OPAQUE_BUILTINS: Mapping[str, str] = {
    "exec": "runs text as code",
    "eval": "runs text as code",
    "compile": "makes code of text",
    "__import__": "imports a module by its name as text",
    "globals": "reaches variables by their names as text",
    "locals": "reaches variables by their names as text",
    "vars": "reaches attributes by their names as text",
    "breakpoint": "starts the debugger",
    "get_ipython": "reaches IPython, which runs commands",
}

NAMED_BY_TEXT: Mapping[str, slice] = {
    "getattr": slice(1, 2),
    "setattr": slice(1, 2),
    "delattr": slice(1, 2),
    "attrgetter": slice(0, None),
    "methodcaller": slice(0, 1),
}
"""Functions that take names of attributes as text, and which of their arguments those are."""

HARMLESS_DUNDERS = _words("""
    __all__ __annotations__ __author__ __doc__ __enter__ __eq__ __exit__ __file__ __hash__ __init__ __iter__ __len__
    __main__ __name__ __next__ __post_init__ __qualname__ __repr__ __str__ __version__
    """)

OPAQUE_MEMBERS = _words("""
    ag_frame cr_frame f_back f_builtins f_globals f_locals gi_frame tb_frame
    CodeType Formatter ForwardRef FunctionType ImportString LambdaType create_model evaluate_forward_ref get_annotations
    get_field get_type_hints make_dataclass new_class
    eval exec exec_module find_class getoutput import_module load_module read_pickle run_cell run_cell_magic
    run_line_magic
    """)

OPAQUE_MODULES = _words("""
    IPython __main__ _pickle _thread atexit bdb builtins cProfile cffi cloudpickle code codeop copyreg ctypes dill
    doctest faulthandler gc imp importlib inspect ipykernel joblib jupyter_client marshal multiprocessing pdb pickle pip
    pkgutil profile readline runpy sched signal site timeit trace types weakref zipimport
    """)
"""Modules that run, reach or make code in ways that cannot be followed: importing them is enough for a look."""

OPAQUE_THROUGH_OTHERS = _words("""
    _os _sys atexit builtins codecs copyreg ctypes ctypeslib f2py gc importlib inspect multiprocessing pathlib pickle
    socket threading urllib weakref
    """)
"""Modules that are attributes of others (`random._os`), beside the guarded ones."""

WRITING_MEMBERS = _words("""
    chmod chown hardlink_to lchmod link_to makedirs mkdir removedirs rmdir rmtree symlink symlink_to touch truncate
    unlink write_bytes write_text
    copy2 copyfile copyfileobj copytree extractall urlretrieve
    FileHandler NamedTemporaryFile RotatingFileHandler SpooledTemporaryFile TemporaryDirectory TemporaryFile
    TimedRotatingFileHandler mkdtemp mkstemp
    create_subprocess_exec create_subprocess_shell popen posix_spawn subprocess_exec subprocess_shell system
    ExcelWriter HDFStore dump memmap open_memmap save savefig savetxt savez savez_compressed tofile
    sink_csv sink_parquet to_clipboard to_excel to_feather to_gbq to_hdf to_orc to_parquet to_pickle to_sql to_stata
    write_csv write_excel write_json write_ndjson write_parquet
    """)

WRITING_WHEN_GIVEN_A_PLACE = frozenset(
    {"to_csv", "to_html", "to_json", "to_latex", "to_markdown", "to_string", "to_xml"}
)
"""Methods that return text, or write it to the place that their first argument names."""
PLACES = frozenset({"buf", "path_or_buf", "path_or_buffer"})

WRITING_BY_ARGUMENTS = frozenset({"extract", "rename", "replace"})
"""Methods of paths and archives that texts and tables also have, with other arguments."""

TAKING_A_MODE = frozenset({"BZ2File", "FileIO", "GzipFile", "LZMAFile", "TarFile", "ZipFile"})
"""Classes, beside `open`, whose second argument is the mode."""
PATH_FIRST = frozenset({"bz2", "codecs", "gzip", "io", "lzma", "tarfile", "wave"})
"""Modules whose `open` takes the path before the mode; the `open` of a path takes the mode first."""


class Guard(NamedTuple):
    """A module that is harmful except for some of its names."""

    kind: Kind
    why: str
    harmless: frozenset[str]


_PROGRAMS = "starts programs"
_WRITES = "can change files"
GUARDED_MODULES: Mapping[str, Guard] = {
    "os": Guard(
        "writes",
        "can change files or start programs",
        _words("""
            PathLike access cpu_count curdir devnull environ error extsep fsdecode fsencode fspath get_terminal_size
            getcwd getenv getpid linesep listdir lstat name pardir path pathsep readlink scandir sep stat stat_result
            strerror sysconf times uname urandom walk
            """),
    ),
    "sys": Guard(
        "opaque",
        "reaches into the interpreter",
        _words("""
            argv byteorder exc_info executable exit flags float_info getdefaultencoding getrecursionlimit getsizeof
            implementation int_info intern maxsize maxunicode platform set_int_max_str_digits setrecursionlimit stderr
            stdin stdout version version_info
            """),
    ),
    "shutil": Guard("writes", _WRITES, frozenset({"disk_usage", "get_terminal_size", "which"})),
    "tempfile": Guard("writes", _WRITES, frozenset({"gettempdir"})),
    "fileinput": Guard("writes", _WRITES, frozenset()),
    "sqlite3": Guard("writes", _WRITES, frozenset({"Error", "OperationalError"})),
    "dbm": Guard("writes", _WRITES, frozenset()),
    "shelve": Guard("writes", _WRITES, frozenset()),
    "mmap": Guard("writes", _WRITES, frozenset()),
    "subprocess": Guard("writes", _PROGRAMS, frozenset({"CalledProcessError", "TimeoutExpired"})),
    "pty": Guard("writes", _PROGRAMS, frozenset()),
    "posix": Guard("writes", _PROGRAMS, frozenset()),
    "webbrowser": Guard("writes", _PROGRAMS, frozenset()),
}


_READING = re.compile(r"[btU]?r[btU]{0,2}|r[:|][\w*]*")


def modes(call: ast.Call, positions: list[int]) -> list[str] | None:
    """Return the literals given as modes in a call; None when one of them is not a literal."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    if any(keyword.arg is None for keyword in call.keywords):
        return None
    given = [call.args[position] for position in positions if position < len(call.args)]
    given += [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    literals = [mode.value for mode in given if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return literals if len(literals) == len(given) else None


def is_reading(mode: str) -> bool:
    """Return whether a mode of a file or archive is clearly one for reading."""
    return _READING.fullmatch(mode) is not None


def returns_text(call: ast.Call) -> bool:
    """Return whether a method that can write to a given place is given none, and so returns its text."""
    return not call.args and all(keyword.arg is not None and keyword.arg not in PLACES for keyword in call.keywords)


def is_of_text(call: ast.Call, name: str) -> bool:
    """Return whether a method's arguments are those it takes on texts, tables and dates, not on paths and archives."""
    positional = [argument for argument in call.args if not isinstance(argument, ast.Dict)]
    if name == "extract":
        return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "attr", None) == "str"
    if any(isinstance(argument, ast.Starred) for argument in positional) or any(
        keyword.arg in (None, "target", "dst") for keyword in call.keywords
    ):
        return False
    return len(positional) > 1 if name == "replace" and positional else not positional
