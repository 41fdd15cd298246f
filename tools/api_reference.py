"""Write the pages of `docs/api` from the docstrings of the public API: `python tools/api_reference.py` (`make api`).

The sources are read with griffe, not imported. Settings are described by `state/setting_specs.py`, as everywhere.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import griffe

from durable_rlm.state.setting_specs import SETTINGS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "api"

_EVENTS = "Named Input OneCall Direct Turn Nudge Code Calls Output Usage Retry Restore Notice Child"
_TYPES = "ModelName Mode Price Size Folder GateNames Modules Schema Instructions"
PAGES: Mapping[str, tuple[str, str]] = {
    "runner.md": (
        "The entry point: a runner starts, resumes, decides and forks runs, and reads what is saved.",
        "Runner Question graph.intake.Given nodes.runtime.events.OnEvent graph.batch.OnQuestionEvent "
        "graph.queries.RunQueries graph.calls.Call graph.queries.Place state.maintenance.report.Report "
        "state.maintenance.report.Problem state.maintenance.report.Tally state.maintenance.report.Kind "
        "state.maintenance.delete.Deleted state.maintenance.gc.Collected",
    ),
    "run-and-events.md": (
        "The result of a run, and the dicts that report its progress. Nothing depends on events: they may be ignored.",
        "Run RunStatus state.records.Usage state.records.RestoreRecord state.records.Divergence Event EndEvent "
        + " ".join(f"nodes.runtime.events.{name}Event" for name in _EVENTS.split()),
    ),
    "settings-and-limits.md": (
        "The keyword arguments of `Runner.run`, `Runner.resume` and `Runner.fork`, and what a run keeps of them.",
        "RunOptions ResumeOptions LimitOptions ModelOptions RunSettings Limits "
        + " ".join(f"state.settings.{name}" for name in _TYPES.split()),
    ),
    "errors.md": (
        "The errors that methods raise. A run that failed has the name of one of them in `Run.error`.",
        "RlmError UsageError InputError ModelSetupError UnknownThread ThreadExists QuestionsRefused RunBusy StoreError "
        "ModelFailed NoSandbox KernelStartFailed state.errors.KernelLost state.errors.ReplayDiverged "
        "state.errors.LeaseLost state.errors.StoredDataDamaged",
    ),
}
"""The first sentences of each page, and the names that it describes, with their modules unless they are exported."""

_NOTE = "<!-- Written by `make api` from the docstrings of the code: change those. -->"
_SETTINGS_CLASS = "state.settings.RunSettings"
_OF_SETTINGS = ("RunOptions", "ResumeOptions", "LimitOptions", "ModelOptions", "RunSettings", "Limits")
_UNITS = {"SECONDS": " In seconds.", "SIZE": " In bytes."}
_CHECKS = {"ge": " At least {}.", "gt": " More than {}.", "le": " At most {}."}
_STARS = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
_CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
_WIDTH = 100

Member = griffe.Function | griffe.Attribute
Documented = griffe.Class | griffe.Attribute


def load(folder: Path = ROOT / ".package", package: str = "durable_rlm") -> griffe.Module:
    """Read the sources of a package in `folder`."""
    found = griffe.load(package, search_paths=[folder])
    assert isinstance(found, griffe.Module)
    return found


def described(package: griffe.Module, name: str) -> Documented:
    """Return the class or variable with this name: an exported one, or `module.Name`. Raises KeyError."""
    found = package[name]
    target = found.final_target if isinstance(found, griffe.Alias) else found
    assert isinstance(target, Documented), name
    return target


def members(owner: Documented) -> list[Member]:
    """Return a class's own public methods and attributes in the order of the source; nothing for a variable."""
    public = [member for name, member in owner.members.items() if not name.startswith("_") and name != "model_config"]
    return [member for member in public if isinstance(member, Member)]


def overrides(member: Member) -> bool:
    """Return whether a member has no docstring because it only gives an attribute of a base class another value."""
    bases = member.parent.mro() if isinstance(member.parent, griffe.Class) else []
    return not member.docstring and any(member.name in base.members for base in bases)


def meaning(member: Member) -> str:
    """Return a member's docstring, or the description of its setting; empty when there is neither."""
    if member.docstring:
        return member.docstring.value
    owner, name = str(member.parent and member.parent.name), member.name
    if owner in _OF_SETTINGS and (spec := SETTINGS.get("schema" if name == "answer_schema" else name)):
        checks = "".join(_checks(member.package[_SETTINGS_CLASS].members.get(name)))
        default = f" Default: {spec.default}." if spec.default else ""
        return f"{spec.help}.{default}{_UNITS.get(spec.metavar or '', '')}{checks}"
    return "The kind of event." if name == "event" and owner.endswith("Event") else ""


def gaps(found: Documented) -> Iterator[str]:
    """Yield the paths of a class or variable, and of its public members, that have no description."""
    if not found.docstring:
        yield found.path
    yield from (member.path for member in members(found) if not meaning(member) and not overrides(member))


def _checks(field: griffe.Object | griffe.Alias | None) -> Iterator[str]:
    call = field.value if isinstance(field, griffe.Attribute) else None
    for argument in call.arguments if isinstance(call, griffe.ExprCall) else ():
        if isinstance(argument, griffe.ExprKeyword) and argument.name in _CHECKS:
            number, _, shift = str(argument.value).partition(" << ")
            if number.isidentifier():
                # A named bound is one of what can be saved, which nobody meets.
                continue
            yield _CHECKS[argument.name].format(f"{int(number) << int(shift or 0):,}")


def signature(function: griffe.Function) -> str:
    """Return a method's decorators and header, without its first parameter."""
    words: list[str] = []
    for parameter in list(function.parameters)[1:]:
        stars = _STARS.get(parameter.kind, "") if parameter.kind else ""
        if parameter.kind is griffe.ParameterKind.keyword_only and not any(word[0] == "*" for word in words):
            words.append("*")
        default = "" if stars or parameter.default is None else f" = {parameter.default}"
        words.append(f"{stars}{parameter.name}: {parameter.annotation}{default}")
    begin = f"{'async ' if 'async' in function.labels else ''}def {function.name}("
    header = f"{begin}{', '.join(words)}) -> {function.returns}"
    if len(header) > _WIDTH:
        header = "\n".join([begin, *(f"    {word}," for word in words), f") -> {function.returns}"])
    return "\n".join([*(f"@{decorator.value}" for decorator in function.decorators), header])


class Reference:
    """The pages about a package, with links between them."""

    def __init__(self, package: griffe.Module) -> None:
        self._package = package
        self._pages = {file: [described(package, name) for name in names.split()] for file, (_, names) in PAGES.items()}
        self._places: dict[str, str] = {}
        for file, objects in self._pages.items():
            for found in objects:
                self._places[found.name] = f"{file}#{found.name.lower()}"
                for member in members(found):
                    heading = f"{found.name}{member.name if member.is_function else ''}".lower()
                    self._places[f"{found.name}.{member.name}"] = f"{file}#{heading}"
        self._errors = re.compile(rf"\b({'|'.join(found.name for found in self._pages['errors.md'])})\b")
        self._types = re.compile(rf"\b({'|'.join(name for name in self._places if '.' not in name)})\b")

    def pages(self) -> dict[str, str]:
        """Return the text of each page by its file name."""
        rows = ["| page | what is exported |", "|---|---|"]
        for file, objects in self._pages.items():
            rows.append(
                f"| [{file}]({file}) | {', '.join(self._link(one.name) for one in objects if self._exported(one))} |"
            )
        about = self._package.docstring
        index = ["# Python API", _NOTE, about.value if about else "", "\n".join(rows)]
        parts = {"README.md": index, **{file: self._page(file, objects) for file, objects in self._pages.items()}}
        return {file: "\n\n".join(filter(None, blocks)) + "\n" for file, blocks in parts.items()}

    def _page(self, file: str, objects: list[Documented]) -> Iterator[str]:
        yield f"# {file.removesuffix('.md').replace('-', ' ').capitalize()}"
        yield from (_NOTE, f"{self._prose(PAGES[file][0])} All pages: [Python API](README.md).")
        for found in objects:
            yield from (f"## `{found.name}`", *self._code(found.name, self._definition(found)))
            yield self._prose(found.docstring.value if found.docstring else "", found.name)
            rows = [
                self._row(one) for one in members(found) if isinstance(one, griffe.Attribute) and not overrides(one)
            ]
            yield "\n".join(["| name | type | meaning |", "|---|---|---|", *rows]) if rows else ""
            for member in members(found):
                if isinstance(member, griffe.Function):
                    yield from (f"### `{found.name}.{member.name}`", *self._code(found.name, signature(member)))
                    yield self._prose(meaning(member), found.name)

    def _exported(self, found: Documented) -> bool:
        return found.name in (self._package.exports or ())

    def _definition(self, found: Documented) -> str:
        place = "" if self._exported(found) else f"# in {found.module.path}, not exported\n"
        if isinstance(found, griffe.Attribute):
            value = f"{found.name} = {found.value}"
            return place + (value if len(value) <= _WIDTH else value.replace(" | ", "\n    | "))
        changed = [
            f"    {one.name} = {one.value}"
            for one in members(found)
            if isinstance(one, griffe.Attribute) and overrides(one)
        ]
        given = [*map(str, found.bases), *(f"{name}={value}" for name, value in found.keywords.items())]
        bases = f"({', '.join(given)})" if given else ""
        return place + "\n".join([f"class {found.name}{bases}{':' if changed else ''}", *changed])

    def _code(self, near: str, code: str) -> Iterator[str]:
        """Yield code as a block, and links to the types in it."""
        yield f"```python\n{code}\n```"
        if named := [self._link(name) for name in dict.fromkeys(self._types.findall(code)) if name != near]:
            yield f"See {', '.join(named)}."

    def _row(self, member: griffe.Attribute) -> str:
        kind = "" if member.annotation is None else f"`{member.annotation}`"
        if known := self._types.search(kind):
            kind = f"[{kind}]({self._places[known[1]]})"
        text = " ".join(self._prose(meaning(member), str(member.parent and member.parent.name)).split())
        cells = [cell.replace("|", r"\|") for cell in (f"`{member.name}`", kind, text)]
        return f"| {' | '.join(cells)} |"

    def _link(self, name: str) -> str:
        return f"[`{name}`]({self._places[name]})"

    def _prose(self, text: str, near: str = "") -> str:
        """Return a docstring with links to what it names: errors, names in backquotes, and pages of `docs`."""
        parts = _CODE.split(text)
        parts[::2] = [
            self._errors.sub(lambda hit: hit[1] if hit[1] == near else self._link(hit[1]), part) for part in parts[::2]
        ]
        for at in range(1, len(parts), 2):
            name = parts[at].strip("`")
            known = [
                one
                for one in (f"{near}.{name}", name)
                if one in self._places and self._places[one] != self._places.get(near)
            ]
            if known:
                parts[at] = f"[`{name}`]({self._places[known[0]]})"
            elif re.fullmatch(r"docs/[\w-]+\.md", name):
                parts[at] = f"[`{name}`](../{name.removeprefix('docs/')})"
        return "".join(parts)


def main() -> None:
    """Write the pages, and remove those that are no longer made."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for file, text in Reference(load()).pages().items():
        (FOLDER / file).write_text(text)


if __name__ == "__main__":
    main()
