"""Definitions, uses and imports in other languages than Python, by tree-sitter and its grammars (the extra `code`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

_MOST_DEPTH = 2_000


@dataclass(frozen=True)
class Language:
    """A language: its grammar, and the nodes of its syntax tree that matter."""

    module: str
    function: str
    kinds: Mapping[str, str]
    """The kind of the symbol that a node defines, by the node's type."""
    within: frozenset[str] = frozenset()
    """The types of nodes whose name stands before the names of what they hold."""
    imported: Mapping[str, str] = frozenset()  # type: ignore[assignment]
    """The field with the module of an import, by the node's type; empty: the text of the node without its keyword."""


_C_KINDS = {
    "function_definition": "function",
    "struct_specifier": "struct",
    "union_specifier": "union",
    "enum_specifier": "enum",
    "type_definition": "type",
    "preproc_def": "macro",
    "preproc_function_def": "macro",
}
_C = Language("tree_sitter_c", "language", _C_KINDS, imported={"preproc_include": "path"})
_CPP = Language(
    *("tree_sitter_cpp", "language"),
    {**_C_KINDS, "class_specifier": "class", "namespace_definition": "namespace", "alias_declaration": "type"},
    frozenset({"class_specifier", "struct_specifier", "namespace_definition"}),
    {"preproc_include": "path"},
)
_SCRIPT_KINDS = {
    "class_declaration": "class",
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "method_definition": "method",
    "variable_declarator": "variable",
}
_SCRIPT_WITHIN = frozenset({"class_declaration", "abstract_class_declaration", "interface_declaration"})
_SCRIPT_IMPORTS = {"import_statement": "source", "export_statement": "source"}
_JAVASCRIPT = Language("tree_sitter_javascript", "language", _SCRIPT_KINDS, _SCRIPT_WITHIN, _SCRIPT_IMPORTS)
_TYPED_KINDS = {
    **_SCRIPT_KINDS,
    "abstract_class_declaration": "class",
    "interface_declaration": "interface",
    "enum_declaration": "enum",
    "type_alias_declaration": "type",
    "internal_module": "namespace",
    "method_signature": "method",
}
_TYPESCRIPT, _TSX = (
    Language(
        *("tree_sitter_typescript", function, _TYPED_KINDS),
        *(_SCRIPT_WITHIN | {"internal_module"}, _SCRIPT_IMPORTS),
    )
    for function in ("language_typescript", "language_tsx")
)
_GO = Language(
    *("tree_sitter_go", "language"),
    {
        "function_declaration": "function",
        "method_declaration": "method",
        "type_spec": "type",
        "const_spec": "constant",
        "var_spec": "variable",
        "method_elem": "method",
    },
    frozenset({"type_spec"}),
    {"import_spec": "path"},
)
_JAVA = Language(
    *("tree_sitter_java", "language"),
    {
        "class_declaration": "class",
        "interface_declaration": "interface",
        "enum_declaration": "enum",
        "record_declaration": "class",
        "annotation_type_declaration": "annotation",
        "method_declaration": "method",
        "constructor_declaration": "method",
        "enum_constant": "constant",
    },
    frozenset({"class_declaration", "interface_declaration", "enum_declaration", "record_declaration"}),
    {"import_declaration": ""},
)
_RUST = Language(
    *("tree_sitter_rust", "language"),
    {
        "function_item": "function",
        "function_signature_item": "function",
        "struct_item": "struct",
        "enum_item": "enum",
        "union_item": "union",
        "trait_item": "trait",
        "type_item": "type",
        "const_item": "constant",
        "static_item": "constant",
        "mod_item": "module",
        "macro_definition": "macro",
    },
    frozenset({"mod_item", "trait_item", "impl_item", "enum_item"}),
    {"use_declaration": "argument"},
)
LANGUAGES: Mapping[str, Language] = {
    **dict.fromkeys((".c", ".h"), _C),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"), _CPP),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), _JAVASCRIPT),
    **dict.fromkeys((".ts", ".mts", ".cts"), _TYPESCRIPT),
    **{".tsx": _TSX, ".go": _GO, ".java": _JAVA, ".rs": _RUST},
}
"""The languages by the ends of files' names."""
_NAMES = frozenset(
    {"identifier", "type_identifier", "field_identifier", "property_identifier", "namespace_identifier"}
    | {"package_identifier", "shorthand_property_identifier", "statement_identifier"}
)
_NAMING_FIELDS = ("name", "declarator", "type")
_KEYWORDS = ("import", "static")


def definitions(code: str, language: Language) -> "Iterator[tuple[str, str, int, int]]":
    """Yield the qualified name, the kind, the first and the last line of each definition, in order.

    Raises ImportError when the language's grammar is not installed.
    """
    names: list[tuple[int, str]] = []
    for depth, node in _nodes(code, language):
        while names and names[-1][0] >= depth:
            names.pop()
        kind = language.kinds.get(node.type)
        if kind is None and node.type not in language.within:
            continue
        if node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
            continue  # `struct s x;` uses it
        name = _name_of(node)
        if name is None or (node.type == "variable_declarator" and not _is_at_the_top(node)):
            continue
        whole = ".".join([*(one for _, one in names), name])
        if kind:
            yield whole, _kind_of(node, kind), node.start_point[0] + 1, node.end_point[0] + 1
        if node.type in language.within:
            names.append((depth, name))


def uses(code: str, name: str, language: Language) -> "Iterator[int]":
    """Yield the line of each use of an identifier, its definitions excluded. Raises ImportError."""
    wanted = name.encode()
    for _, node in _nodes(code, language):
        if node.type in _NAMES and node.text == wanted:
            parent = node.parent
            if parent is None or parent.type not in language.kinds or _name_node(parent) != node:
                yield node.start_point[0] + 1


def imports(code: str, language: Language) -> "Iterator[tuple[int, str, str | None]]":
    """Yield the line and the module of each import, without names. Raises ImportError."""
    for _, node in _nodes(code, language):
        field = language.imported.get(node.type)
        if field is None:
            continue
        found = node.child_by_field_name(field) if field else node
        if found is not None and found.text:
            text = found.text.decode(errors="replace").strip("\"'<>;` ")
            for word in _KEYWORDS:
                text = text.removeprefix(word).strip() if not field else text
            yield node.start_point[0] + 1, text, None


@cache
def _parser(language_module: str, function: str) -> Any:
    """Return the parser of a language. Raises ImportError."""
    tree_sitter = import_module("tree_sitter")
    grammar = getattr(import_module(language_module), function)()
    return tree_sitter.Parser(tree_sitter.Language(grammar))


def _nodes(code: str, language: Language) -> "Iterator[tuple[int, Any]]":
    """Yield the depth and the node of everything in the syntax tree that has a name, in order."""
    cursor = _parser(language.module, language.function).parse(code.encode("utf-8", "replace")).walk()
    depth = 0
    while True:
        node = cursor.node
        if node.is_named:
            yield depth, node
        if depth < _MOST_DEPTH and cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            depth -= 1


def _name_node(node: Any) -> Any:
    """Return the node with the name that a node defines, or None: through the declarators of C and C++."""
    for _ in range(_MOST_DEPTH):
        if node is None or node.type in _NAMES or node.type in ("qualified_identifier", "destructor_name"):
            return node
        node = next(
            (found for field in _NAMING_FIELDS if (found := node.child_by_field_name(field)) is not None),
            None,
        )
    return None


def _name_of(node: Any) -> "str | None":
    found = _name_node(node)
    if found is None or not found.text:
        return None
    name = found.text.decode(errors="replace").replace("::", ".")
    receiver = node.child_by_field_name("receiver")
    if receiver is not None and receiver.text:  # of a method in Go: `(t *Tree)`
        words = receiver.text.decode(errors="replace").strip("()").replace("*", " ").split()
        return f"{words[-1]}.{name}" if words else name
    return name


def _kind_of(node: Any, kind: str) -> str:
    value = node.child_by_field_name("value") if node.type == "variable_declarator" else None
    if value is not None and value.type in ("arrow_function", "function_expression", "function"):
        return "function"
    return kind


def _is_at_the_top(node: Any) -> bool:
    """Return whether a variable is one of its module: within a declaration, perhaps one that is exported."""
    above = node.parent and node.parent.parent
    return (
        above is not None
        and above.type in ("program", "export_statement", "statement_block")
        and (above.type != "statement_block" or (above.parent is not None and above.parent.type == "internal_module"))
    )
