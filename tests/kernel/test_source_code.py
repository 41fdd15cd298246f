"""Symbols, references and imports of source code, with the file and the line of each."""

from pathlib import Path

import pytest

from durable_rlm.kernel.inside.context import Documents
from durable_rlm.kernel.inside.repl import KernelRepl
from durable_rlm.kernel.inside.source_code import grammars
from tests.kernel.documents import draft_of, packed, text_document

PYTHON = '''\
"""A module about parsers."""
import json, os.path
from ..base import Base as Root, read

LIMIT = 10

class Parser(Root):
    """parser of Parser"""
    name = "Parser"

    def feed(self, text):
        # Parser again
        return read(text, limit=LIMIT)

if LIMIT:
    async def parse(text):
        def inner(): ...
        return Parser().feed(text)
'''
GO = """\
package store

import (
\t"fmt"
\tdb "example/db"
)

type Store struct{ rows int }

func (s *Store) Load(key string) string {
\treturn fmt.Sprint(db.Get(key))
}

func Load() {}
"""


def documents(folder: Path, **files: str) -> Documents:
    drafts = [draft_of(text, name=name.replace("__", "/").replace("_dot_", ".")) for name, text in files.items()]
    return Documents(*packed(folder, drafts))


@pytest.fixture
def code(tmp_path: Path) -> Documents:
    return documents(tmp_path, src__parser_dot_py=PYTHON, store_dot_go=GO, notes_dot_md="Parser, Load, read")


def test_definitions_have_their_qualified_name_kind_file_and_lines(code: Documents) -> None:
    found = {one.name: (one.kind, one.line, one.last_line) for one in code.symbols("*.py")}
    assert found == {
        "LIMIT": ("constant", 5, 5),
        "Parser": ("class", 7, 13),
        "Parser.name": ("variable", 9, 9),
        "Parser.feed": ("method", 11, 13),
        "parse": ("function", 16, 18),
        "parse.inner": ("function", 17, 17),
    }


@pytest.mark.parametrize("name", ["feed", "Parser.feed"])
def test_a_definition_is_found_by_its_name_and_by_its_qualified_name(code: Documents, name: str) -> None:
    [found] = code.definition(name)
    assert (str(found), found.file, found.line) == ("src/parser.py:11 def feed(self, text):", "src/parser.py", 11)
    assert code[found.file].lines(found.line, found.last_line).startswith("    def feed")


def test_references_are_uses_in_code_not_in_comments_texts_or_definitions(code: Documents) -> None:
    assert [(one.file, one.line) for one in code.references("Parser")] == [("src/parser.py", 18)]
    assert [one.line for one in code.references("read")] == [3, 13]
    assert [one.line for one in code.references("limit")] == [13]


def test_imports_have_the_module_as_written_and_the_name(code: Documents) -> None:
    found = [(one.line, one.module, one.name) for one in code.imports("*.py")]
    assert found == [(2, "json", None), (2, "os.path", None), (3, "..base", "Base"), (3, "..base", "read")]


def test_a_name_without_a_definition_suggests_near_ones(code: Documents, capsys: pytest.CaptureFixture[str]) -> None:
    assert code.definition("Parsr") == []
    assert "there is Parser" in capsys.readouterr().out


def test_code_that_does_not_parse_is_named_and_the_rest_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = documents(tmp_path, old_dot_py="print 'x'\n", good_dot_py="def f(): pass\n", deep_dot_py="(" * 5_000)
    assert [one.name for one in found.symbols()] == ["f"]
    assert "old.py, deep.py" in capsys.readouterr().out


def test_warnings_of_the_code_that_is_read_are_not_this_codes(tmp_path: Path) -> None:
    assert documents(tmp_path, a_dot_py="x = '\\d'\n").symbols()[0].name == "x"


def test_a_single_file_has_the_functions_too(tmp_path: Path) -> None:
    text = text_document(tmp_path, draft_of(PYTHON, name="parser.py"))
    assert [one.name for one in text.definition("parse")] == ["parse"]


OTHER = {
    "a.go": (GO, ["Store type", "Store.Load method", "Load function"]),
    "a.js": (
        "import {b as c} from './m';\nexport class A { m(x) { return b(x) } }\nexport const g = (x) => { let y = 1; }",
        ["A class", "A.m method", "g function"],
    ),
    "a.ts": (
        "interface I { m(): void }\nenum E {}\ntype T = X;\nnamespace N { export function q() { b() } }\nimport 'b';",
        ["I interface", "I.m method", "E enum", "T type", "N namespace", "N.q function"],
    ),
    "a.tsx": ("export const View = () => <b>{b}</b>;\n", ["View function"]),
    "A.java": (
        "package p; import b.List;\npublic class A { A() {} void m() { b(); } enum E { X } }",
        ["A class", "A.A method", "A.m method", "A.E enum", "A.E.X constant"],
    ),
    "a.rs": (
        "use std::io::b; mod m { pub fn f() {} }\nstruct S;\nimpl S { fn g(&self) { b() } }\nconst K: i32 = 1;",
        ["m module", "m.f function", "S struct", "S.g function", "K constant"],
    ),
    "a.c": (
        '#include "b"\n#define K 1\nstruct s { int a; };\nstruct s v;\nstatic int *f(int a) { return b(a); }\n',
        ["K macro", "s struct", "f function"],
    ),
    "a.cpp": (
        "#include <b>\nnamespace n { class C { int m() { return b(); } };\nint C::w(int x) { return x; } }",
        ["n namespace", "n.C class", "n.C.m function", "n.C.w function"],
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_other_languages_have_definitions_uses_and_imports(tmp_path: Path, name: str) -> None:
    text, expected = OTHER[name]
    code = Documents(*packed(tmp_path, [draft_of(text, name=name)]))
    assert [f"{one.name} {one.kind}" for one in code.symbols()] == expected
    assert code.references("db" if name == "a.go" else "b")
    assert [one.module for one in code.imports()] == {
        "a.go": ["fmt", "example/db"],
        "a.js": ["./m"],
        "a.tsx": [],
        "a.ts": ["b"],
        "A.java": ["b.List"],
        "a.rs": ["std::io::b"],
    }.get(name, ["b"])


def test_without_the_grammars_other_languages_are_left_out_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = documents(tmp_path, a_dot_py="def f(): ...", a_dot_go="package other")
    monkeypatch.setattr(grammars, "import_module", _missing)
    grammars._parser.cache_clear()
    assert {one.file for one in code.symbols()} == {"a.py"}
    assert "1 .go" in (out := capsys.readouterr().out)
    assert "durable-rlm[code]" in out


def _missing(name: str) -> None:
    raise ImportError(name)


def test_a_name_that_code_binds_is_its_variable_and_stays(tmp_path: Path) -> None:
    pack, index = packed(tmp_path, [draft_of(PYTHON, name="a.py"), draft_of("", name="b.py")])
    namespace: dict[str, object] = {}
    setup = {"pack": pack, "index": index, "text": False, "start": 0, "end": Path(pack).stat().st_size}
    repl = KernelRepl(
        *(
            namespace,
            lambda: None,
            {**setup, "sub_calls": False, "sub_rlms": False, "models": [], "prompt_tokens": 100},
        ),
        own_process=False,
    )
    repl.begin([], [])
    assert [one["name"] for one in repl.end(succeeded=True)["variables"]] == ["context"]
    exec("found = definition('feed'); references = [1]", namespace)
    repl.begin([], [])
    assert namespace["references"] == [1]
    assert [one["name"] for one in repl.end(succeeded=True)["variables"]] == ["context", "found", "references"]
