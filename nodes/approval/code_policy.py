"""Decide by the code policy which cells a reviewer has to look at, and why.

The policy helps reviewers, who need not read every cell that counts words. It is no security boundary: that is the
sandbox. Code is judged by its names, without running it and without the cells before it: what an earlier cell defined
(a function, say) was looked at there or not at all. In doubt a look is needed. It is also needed under every policy
where names are hidden: code that does not parse, `eval`, attributes named by text, IPython's own commands.
"""

import ast
import re
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Literal

from ..replies.python_source import parse, without_ipython_lines
from ..runtime.untrusted_text import one_line
from . import code_policy_names as known
from .code_policy_members import CellNames, findings
from .code_policy_names import is_of_text, is_reading, modes, returns_text
from .code_policy_texts import code_of_query, texts_of_types
from .ipython_commands import commands_in

CodePolicy = Literal["any", "writes", "imports", "calls"]
"""Kinds of cells: all; those that write files or start programs; that import outside a list; that fan out."""

DEFAULT_IMPORTS = known.DEFAULT_IMPORTS

_LONGEST = 50_000
"""Characters of the longest cell that is examined, which takes some tenths of a second for dense code."""
_MOST_REASONS = 20
_DEEPEST = 100
_UNREADABLE = "begins what cannot be looked through as Python"
_FEW_CALLS = 3
"""Queries that a cell may write out, one after the other, before that counts as a fan-out."""

_MEMBERS_BY_NAME = known.QUERIES | known.TAKING_A_MODE | known.NAMED_BY_TEXT.keys()
"""Names that mean the same alone as behind a dot."""
_DUNDER = re.compile(r"__\w+__")


def reasons_to_look(
    blocks: Sequence[str], policies: Collection[CodePolicy], allowed_imports: Collection[str] = ()
) -> list[str]:
    """Return why a reviewer should look at a cell, in short sentences by line; empty when no look is needed.

    Never raises.

    Lines are those of the blocks joined by blank lines. `allowed_imports` are modules (with all that is in them) and
    modules in packages (`concurrent.futures`) that `imports` lets pass beside DEFAULT_IMPORTS.
    """
    general = ["every cell is looked at"] if "any" in policies else []
    if not {"writes", "imports", "calls"} & set(policies):
        return general
    if sum(map(len, blocks)) > _LONGEST:
        return [*general, f"it is longer than {_LONGEST:,} characters, and was not looked through"]
    look = _Look(policies, DEFAULT_IMPORTS | frozenset(allowed_imports))
    line = 0
    for block in blocks:
        try:
            look.through(block, line)
        except Exception as error:  # a block that cannot be examined needs a look
            look.note(f"cannot be looked through ({type(error).__name__})", at=line + 1)
        line += block.count("\n") + 2
    return general + look.reasons()


class _Look(ast.NodeVisitor):
    """A visitor of the blocks of one cell that notes what needs a look."""

    def __init__(self, policies: Collection[CodePolicy], allowed_imports: frozenset[str]) -> None:
        self._policies = policies
        self._allowed = allowed_imports
        self._found: set[tuple[int, str]] = set()
        self._lines_before = 0
        self._origins: dict[str, str] = {}
        """The origins of imported names: `r` → `os.remove`."""
        self._repeated: str | None = None
        """Description of what runs the visited code more than once; None when nothing does."""
        self._awaited: ast.expr | None = None
        self._queries = 0
        self._depth = 0
        self._names = CellNames()

    def through(self, block: str, lines_before: int) -> None:
        """Visit a block that has `lines_before` lines before it."""
        self._lines_before = lines_before
        tree = parse(block)
        commands = commands_in(block, parses=tree is not None)
        for number, what in commands:
            self.note(what, at=lines_before + number)
        if tree is None:
            inert = without_ipython_lines(block)
            tree = parse(inert) if inert is not None else None
            if tree is None or not commands:
                self.note(_UNREADABLE, at=lines_before + 1)
        if tree is None:
            return
        before = set(self._found)
        try:
            self.visit(tree)
        except RecursionError:
            self._found, self._depth = before, 0
            self.note(_UNREADABLE, at=lines_before + 1)
            return
        self._names.add(tree)
        for finding in findings(tree, self._names):
            self.note(finding.what, finding.node, finding.policy)

    def visit(self, node: ast.AST) -> None:
        """Visit a node, if it is not too deep.

        The bound is fixed, so that the result does not depend on the call stack's depth.
        """
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecursionError
        super().visit(node)
        self._depth -= 1

    def reasons(self) -> list[str]:
        """Return the sentences, in the order of the lines."""
        found = [f"line {line:,} {what}" for line, what in sorted(self._found)]
        more = len(found) - _MOST_REASONS
        return [*found[:_MOST_REASONS], f"and {more:,} more reasons"] if more > 0 else found

    def note(self, what: str, node: ast.AST | None = None, policy: CodePolicy | None = None, at: int = 0) -> None:
        """Note that `what` needs a look under `policy`; None: under each."""
        if policy is None or policy in self._policies:
            line = self._lines_before + getattr(node, "lineno", 1) if node else at
            self._found.add((line, what))

    # -- names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._name(node, None)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._attribute(node, None)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name():
                self._name(node.func, node)
            case ast.Attribute():
                self._attribute(node.func, node)
            case _:
                self.visit(node.func)
        for argument in (*node.args, *node.keywords):
            self.visit(argument)

    def _meanings(self, name: str) -> set[str]:
        """Return what a name may mean: itself, and what was imported as it (the import may never have run)."""
        return {name, self._origins.get(name, name)}

    def _name(self, node: ast.Name, call: ast.Call | None) -> None:
        for origin in self._meanings(node.id):
            module, _, name = origin.rpartition(".")
            if origin in known.GUARDED_MODULES:
                self._guarded(node, origin, None)
            elif module in known.GUARDED_MODULES:
                self._guarded(node, module, name)
            elif name == "open":
                self._opening(node, call, [1])
            elif module or name in _MEMBERS_BY_NAME:
                self._member(node, name, call)
            elif name in known.OPAQUE_BUILTINS:
                self.note(f"{known.OPAQUE_BUILTINS[name]} ({name})", node)
            elif _DUNDER.fullmatch(name) and name not in known.HARMLESS_DUNDERS:
                self.note(f"uses {_short(name)}", node)

    def _attribute(self, node: ast.Attribute, call: ast.Call | None) -> None:
        origins = self._meanings(node.value.id) if isinstance(node.value, ast.Name) else set[str]()
        loaded = isinstance(node.ctx, ast.Load)
        guarded = [origin for origin in origins if origin in known.GUARDED_MODULES]
        for module in guarded if loaded else []:
            self._guarded(node, module, node.attr)
        if loaded and node.attr == "open":
            self._opening(node, call, [1] if origins & known.PATH_FIRST else [0, 1])
        elif loaded or _DUNDER.fullmatch(node.attr):
            self._member(node, node.attr, call)
        if not (guarded and loaded):
            self.visit(node.value)

    def _member(self, node: ast.AST, name: str, call: ast.Call | None) -> None:
        """Note a use of the member `name`, of a value of unknown type."""
        if name in known.QUERIES:
            self._query(node, name, call)
        elif name in known.WRITING_MEMBERS:
            self.note(f"writes files or starts programs ({name})", node, "writes")
        elif name in known.WRITING_WHEN_GIVEN_A_PLACE and not (call and returns_text(call)):
            self.note(f"writes files ({name})", node, "writes")
        elif name in known.WRITING_BY_ARGUMENTS and not (call and is_of_text(call, name)):
            self.note(f"may move or write files ({name})", node, "writes")
        elif name in known.TAKING_A_MODE:
            self._opening(node, call, [1])
        elif name in known.NAMED_BY_TEXT:
            self._named_by_text(node, name, call)
        elif name in known.OPAQUE_MEMBERS or (_DUNDER.fullmatch(name) and name not in known.HARMLESS_DUNDERS):
            self.note(f"uses {_short(name)}", node)
        elif name in known.GUARDED_MODULES or name in known.OPAQUE_THROUGH_OTHERS:
            self.note(f"reaches the module {name} through another", node)
        elif name == "query" and (code := code_of_query(call)):
            self.visit(code)
        elif name == "query":
            self.note("runs text as code (query)", node)

    def _guarded(self, node: ast.AST, module: str, name: str | None) -> None:
        guard = known.GUARDED_MODULES[module]
        if name is None:
            self.note(f"hands the module {module} on as a value", node)
        elif _DUNDER.fullmatch(name):
            self._member(node, name, None)
        elif name not in guard.harmless:
            policy = "writes" if guard.kind == "writes" else None
            self.note(f"{guard.why} ({_short(f'{module}.{name}')})", node, policy)

    def _named_by_text(self, node: ast.AST, name: str, call: ast.Call | None) -> None:
        """Treat attributes that a call names by literals like any others; note names that are hidden."""
        arguments = call.args[known.NAMED_BY_TEXT[name]] if call else []
        if call is None or not arguments or any(isinstance(argument, ast.Starred) for argument in call.args):
            self.note(f"names attributes that cannot be told ({name})", node)
            return
        for argument in arguments:
            if not isinstance(argument, ast.Constant):
                self.note(f"names attributes that cannot be told ({name})", node)
            elif isinstance(argument.value, str):
                for part in argument.value.split("."):
                    self._stands_for(node, call, part)

    def _stands_for(self, node: ast.AST, call: ast.Call, name: str) -> None:
        # As if written with a dot and not called: what is done with it later is not known.
        reached = ast.Attribute(value=call.args[0], attr=name, ctx=ast.Load())
        self._attribute(ast.copy_location(reached, call), None)
        if name in known.OPAQUE_BUILTINS:
            self.note(f"{known.OPAQUE_BUILTINS[name]} ({name})", node)

    def _opening(self, node: ast.AST, call: ast.Call | None, positions: list[int]) -> None:
        given = modes(call, positions) if call else None
        if given is None:
            self.note("opens files in modes that cannot be told", node, "writes")
        elif not all(map(is_reading, given)):
            self.note("opens a file for writing", node, "writes")

    # -- queries

    def _query(self, node: ast.AST, name: str, call: ast.Call | None) -> None:
        self._queries += call is not None
        if call is None:
            what = f"hands {name} on as a value"
        elif name in known.BATCHED_QUERIES:
            what = f"asks models in {self._repeated or 'a batch'} ({name})"
        elif self._repeated:
            what = f"asks models in {self._repeated} ({name})"
        elif name in known.AWAITED_QUERIES and call is not self._awaited:
            what = f"starts a query and does not await it there ({name})"
        elif name in known.WORKER_QUERIES:
            what = f"starts a worker, which asks models on its own ({name})"
        elif self._queries > _FEW_CALLS:
            what = f"asks models, as more than {_FEW_CALLS} lines do ({name})"
        else:
            return
        self.note(what, node, "calls")

    def visit_Await(self, node: ast.Await) -> None:
        self._awaited = node.value
        self.visit(node.value)

    @contextmanager
    def _again(self, how: str) -> Generator[None]:
        before, self._repeated = self._repeated, self._repeated or how
        try:
            yield
        finally:
            self._repeated = before

    def _visit_all(self, nodes: Sequence[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        self._visit_all([node.target, node.iter])
        with self._again("a loop"):
            self._visit_all(node.body)
        self._visit_all(node.orelse)

    visit_For = visit_AsyncFor = _for

    def visit_While(self, node: ast.While) -> None:
        with self._again("a loop"):
            self._visit_all([node.test, *node.body])
        self._visit_all(node.orelse)

    def _comprehension(self, elements: list[ast.expr], generators: list[ast.comprehension]) -> None:
        first, *others = generators
        self.visit(first.iter)
        with self._again("a loop"):
            self._visit_all([first.target, *first.ifs, *others, *elements])

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension([node.elt], node.generators)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension([node.elt], node.generators)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension([node.elt], node.generators)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension([node.key, node.value], node.generators)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all([*node.decorator_list, node.args, *getattr(node, "type_params", [])])
        self._annotation(node.returns)
        with self._again("a function, which may run many times"):
            self._visit_all(node.body)

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        with self._again("a function, which may run many times"):
            self.visit(node.body)

    # -- imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imported(node, alias.name, [alias.name])
            if alias.asname:
                self._origins[alias.asname] = alias.name
                if alias.name in known.GUARDED_MODULES and alias.asname != alias.name:
                    self.note(f"imports {alias.name} under another name", node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self._imported(node, module, [f"{module}.{alias.name}" for alias in node.names])
        for alias in node.names:
            if alias.name == "*":
                self.note(f"imports all names of {_short(module)}, whatever they are", node)
                continue
            local = alias.asname or alias.name
            self._origins[local] = f"{module}.{alias.name}"
            if alias.name == "open" and alias.asname:
                self.note("imports open under another name", node)
            elif module in known.GUARDED_MODULES:
                self._guarded(node, module, alias.name)
            elif alias.name not in {"open", *known.TAKING_A_MODE, *known.NAMED_BY_TEXT} or alias.asname:
                self._member(node, alias.name, None)

    def _imported(self, node: ast.AST, module: str, members: list[str]) -> None:
        if _top(module) in known.OPAQUE_MODULES:
            self.note(f"imports {_short(module)}, with which code can be run or reached by text", node)
        if not all(self._listed(member) for member in members):
            self.note(f"imports {_short(module)}, which is not on the list", node, "imports")

    def _listed(self, module: str) -> bool:
        parts = module.split(".")
        return any(".".join(parts[:length]) in self._allowed for length in range(1, len(parts) + 1))

    # -- code in unusual places

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            self._member(node, name, None)
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg == "allow_pickle" and not (isinstance(node.value, ast.Constant) and node.value.value is False):
            self.note("loads pickles, which run code", node)
        self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        self._annotation(node.annotation)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._annotation(node.annotation)
        self._visit_all([node.target, node.value])

    def _annotation(self, annotation: ast.expr | None) -> None:
        """Visit an annotation, and code in its texts: libraries such as pydantic evaluate text in annotations."""
        if annotation is None:
            return
        self.visit(annotation)
        for text in texts_of_types(annotation):
            if inner := parse(text.value.strip()):
                self.visit(ast.increment_lineno(inner, text.lineno - 1))


def _top(module: str) -> str:
    return module.partition(".")[0]


def _short(name: str) -> str:
    return one_line(name, 60)
