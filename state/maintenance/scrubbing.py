"""Takes secrets out of a copy of a home: every text, variable, input and row, so that the copy still verifies.

A secret is replaced by a mark of the same length in bytes. So nothing else moves: offsets in the input, ranges of
deltas, lengths in serialized values and in variables. What is named by its hash gets a new name, and so does what
refers to it, from the pieces up: texts and chunks, deltas, snapshots, then rows, whose checksums the database renews.

Keys of calls are hashes over what was asked: where a prompt has changed, a replay asks again.
"""

import base64
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..base_urls import secrets_of
from ..blobs.deltas import DeltaError, TextDelta
from ..blobs.store import Blobs, content_hash
from ..db.tables import TABLES, Table
from ..notify_targets import is_url, notify_targets

_MARK = "[scrubbed]"
_SHORTEST = 6
"""Characters from which a secret is replaced wherever it stands; a shorter one only where it is part of an address."""
_WIDE = {1: "*", 2: "\u00b7", 3: "\u2022", 4: "\U0001f512"}
_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_ADDRESS = re.compile(rb"base_url.{1,5}?(https?://[\x21\x23-\x5b\x5d-\x7e]+)", re.DOTALL)
_CHUNK = 4 << 20

Step = Callable[[str, int], None]


@dataclass
class Scrubbed:
    """The secrets that were taken out of a copy."""

    secrets: int = 0
    """The number of secrets that were looked for."""
    places: Counter[str] = field(default_factory=Counter[str])
    """The number of replacements, by the kind of record."""
    dropped: list[str] = field(default_factory=list[str])
    """Records that could not be scrubbed, and were left out."""
    left: list[str] = field(default_factory=list[str])
    """Files in which one is left."""

    def to_json(self) -> dict[str, Any]:
        """Return the counts as `rlm home copy --json` prints them."""
        return {"secrets": self.secrets, "places": dict(self.places), "dropped": self.dropped, "left": self.left}

    def note(self, now: float) -> str:
        """Return the record of it that stays in the home."""
        return json.dumps({"at": now, "secrets": self.secrets, "places": dict(self.places), "dropped": self.dropped})


class Scrubber:
    """The secrets to look for, each in the forms in which it may be stored, and what stands in their place."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Look for `secrets`; those of fewer than 6 characters are ignored."""
        self.places: Counter[str] = Counter()
        self._secrets: set[str] = set()
        self._marks: dict[bytes, bytes] = {}
        self._pattern = re.compile(rb"(?!)")
        self._longest = 1
        self._add(secrets)

    @property
    def count(self) -> int:
        """The number of secrets."""
        return len(self._secrets)

    def add_from(self, connection: sqlite3.Connection) -> None:
        """Look for the secrets of addresses, too, with which runs of an earlier version were saved."""
        for table in TABLES:
            if not table.referring:
                continue
            values = " || ".join(f"coalesce(CAST({column} AS BLOB), '')" for column in table.referring)
            for [body] in connection.execute(f"SELECT {values} FROM {table.name}"):
                self._add_addresses(body.encode() if isinstance(body, str) else body)
        for [start] in connection.execute("SELECT CAST(start AS TEXT) FROM threads"):
            self._add_notified(start)
        self._add(())

    def add_from_start(self, start: str) -> None:
        """Look for the secrets of the addresses that a run was started with, too. `start` is JSON."""
        self._add_addresses(start.encode())
        self._add_notified(start)
        self._add(())

    def _add_addresses(self, data: bytes) -> None:
        for found in _ADDRESS.findall(data):
            address = found.decode("ascii", "replace")
            self._marks |= _in_address(address)
            self._add(secrets_of(address))

    def _add_notified(self, start: Any) -> None:
        for address in _notified_addresses(start):
            self._marks |= _behind_server(address)

    def _add(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            if len(secret) >= _SHORTEST and set(secret) != {"*"}:
                self._secrets.add(secret)
                self._marks |= _forms(secret)
        if self._marks:
            # The longest first: one secret may be a part of another.
            ordered = sorted(self._marks, key=lambda form: (-len(form), form))
            self._pattern = re.compile(b"|".join(re.escape(form) for form in ordered))
            self._longest = len(ordered[0])

    def scrub(self, data: bytes, kind: str) -> bytes:
        """Return `data`, of the same length, without the secrets; count them as found in a record of `kind`."""
        data, count = self._pattern.subn(lambda found: self._marks[found[0]], data)
        if count:
            self.places[kind] += count
        return data

    def stream(self, kind: str) -> "Stream":
        """Return a scrubber of bytes that arrive in pieces."""
        return Stream(self, kind, self._longest)

    def found_in(self, path: Path) -> bool:
        """Return whether a file has one of the secrets."""
        rest = b""
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                data = rest + chunk
                if self._pattern.search(data):
                    return True
                rest = data[-self._longest :]
        return False


class Stream:
    """Scrubs bytes that arrive in pieces; a secret may begin in one and end in the next."""

    def __init__(self, scrubber: Scrubber, kind: str, longest: int) -> None:
        """Scrub for records of `kind`; no form of a secret has more than `longest` bytes."""
        self._scrubber = scrubber
        self._kind = kind
        self._longest = longest
        self._rest = b""

    def add(self, data: bytes) -> Iterator[bytes]:
        """Yield what is settled once `data` has arrived."""
        settled = self._scrubber.scrub(self._rest + data, self._kind)
        keep = min(self._longest - 1, len(settled))
        self._rest = settled[len(settled) - keep :] if keep else b""
        yield settled[: len(settled) - keep]

    def end(self) -> Iterator[bytes]:
        """Yield the rest."""
        yield self._rest
        self._rest = b""


def _in_address(url: str) -> dict[bytes, bytes]:
    """Return the secrets of an address with what stands around them there, which makes short ones recognizable."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return {}
    marks: dict[bytes, bytes] = {}
    if user := parts.netloc.rpartition("@")[0]:
        marks[f"//{user}@".encode()] = f"//{'*' * len(user)}@".encode()
    for parameter in parts.query.split("&"):
        name, equals, value = parameter.partition("=")
        if equals and value and secrets_of(f"x://x?{parameter}"):
            for before in "?&":
                marks[f"{before}{parameter}".encode()] = f"{before}{name}={'*' * len(value)}".encode()
    return marks


def _notified_addresses(start: Any) -> list[str]:
    """Return the addresses that a run sends notifications to."""
    try:
        return [target for target in notify_targets(json.loads(start)["settings"]["notify"]) if is_url(target)]
    except (ValueError, LookupError, TypeError):
        return []


def _behind_server(url: str) -> dict[bytes, bytes]:
    """Return what stands behind the server's name in an address, with that name: who knows it may send there."""
    server, slash, rest = url.partition("://")[2].partition("/")
    known = f"//{server}{slash}".encode()
    return {known + rest.encode(): known + b"*" * len(rest.encode())} if rest else {}


def _forms(secret: str) -> dict[bytes, bytes]:
    """Return the forms in which a secret may be stored, each with the bytes that replace it."""
    mark = (_MARK + "*" * len(secret))[: len(secret)] if secret.isascii() and len(secret) >= len(_MARK) else ""
    mark = mark or "".join(_WIDE[len(one.encode())] for one in secret)
    forms = {secret.encode(name): mark.encode(name) for name in ("utf-8", "utf-16-le", "utf-32-le")}
    slug = re.sub("[^a-z0-9]+", "-", secret.lower()).strip("-")
    for other in (
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        slug if len(slug) >= 2 * _SHORTEST else "",
    ):
        if other and other.encode() not in forms:
            forms[other.encode()] = b"x" * len(other.encode())
    return {form: replaced for form, replaced in forms.items() if len(form) == len(replaced)}


def scrub_rows(
    connection: sqlite3.Connection, blobs: Blobs, scrubber: Scrubber, renamed: dict[str, str], step: Step
) -> Scrubbed:
    """Scrub every row in the current transaction; `renamed` has the new names of blobs. Return what was done."""
    work = _Rows(connection, blobs, scrubber, renamed, step)
    work.contents("texts")
    work.contents("chunks")
    work.recipes()
    work.manifests()
    for table in TABLES:
        work.table(table)
    return Scrubbed(scrubber.count, scrubber.places, work.dropped)


class _Rows:
    def __init__(
        self, connection: sqlite3.Connection, blobs: Blobs, scrubber: Scrubber, renamed: dict[str, str], step: Step
    ) -> None:
        self.dropped: list[str] = []
        self._connection = connection
        self._blobs = blobs
        self._scrubber = scrubber
        self._renamed = renamed
        self._step = step

    def contents(self, table: str) -> None:
        """Scrub rows that are named by the hash of their body."""
        for name in self._names(table):
            body = self._body(table, name)
            self._replace(table, name, body, self._scrubber.scrub(body, table))

    def recipes(self) -> None:
        """Give deltas the new names of their blobs, and texts that they make up theirs."""
        for name in self._names("recipes"):
            body = self._body("recipes", name)
            try:
                old = TextDelta.from_json(name, body)
                blobs = tuple(self._renamed.get(blob, blob) for blob in old.blobs)
                pieces = tuple(
                    self._scrubber.scrub(piece.encode(), "texts").decode() if isinstance(piece, str) else piece
                    for piece in old.pieces
                )
                text = _assembled(TextDelta(name, blobs, pieces), self._blobs)
            except DeltaError:
                # What it is cut from is damaged, so its own words cannot be checked either.
                if self._scrubber.scrub(body, "texts") != body:
                    self.dropped.append(f"text {name[:12]}…")
                    self._connection.execute("DELETE FROM recipes WHERE hash = ?", (name,))
                continue
            clean = self._scrubber.scrub(text, "texts")
            new = content_hash(clean)
            if (new, blobs) == (name, old.blobs):
                continue
            if new != name:
                self._renamed[name] = new
            [touched] = self._connection.execute("SELECT touched FROM recipes WHERE hash = ?", (name,)).fetchone()
            self._connection.execute("DELETE FROM recipes WHERE hash = ?", (name,))
            # A secret that began in the input and ended in the words behind it: the text is stored whole.
            table, stored = ("recipes", TextDelta(new, blobs, pieces).to_json()) if clean == text else ("texts", clean)
            self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", (new, stored, touched))
            self._step("records", len(clean))

    def manifests(self) -> None:
        """Scrub snapshots, each after the one that it builds on."""
        waiting = dict.fromkeys(self._names("manifests"))
        while waiting:
            name: str | None = next(iter(waiting))
            line: list[str] = []
            while name in waiting:
                del waiting[name]
                line.append(name)
                name = _base_of(self._body("manifests", name))
            for one in reversed(line):
                body = self._body("manifests", one)
                self._replace("manifests", one, body, self._mapped(self._scrubber.scrub(body, "snapshots")))

    def table(self, table: Table) -> None:
        """Scrub the rows of a table, and give them the new names of what they refer to."""
        columns = table.columns()
        key = " AND ".join(f"{name} IS ?" for name in table.key)
        keys = self._connection.execute(f"SELECT {', '.join(table.key)} FROM {table.name}").fetchall()
        for found in keys:
            select = f"SELECT {', '.join(columns)} FROM {table.name} WHERE {key}"
            row = self._connection.execute(select, found).fetchone()
            new = [self._value(value, table.name, refers=name in table.referring)
                   for name, value in zip(columns, row, strict=True)]  # fmt: skip
            if changed := {name: value for name, value, old in zip(columns, new, row, strict=True) if value != old}:
                setting = ", ".join(f"{name} = ?" for name in changed)
                self._connection.execute(f"UPDATE {table.name} SET {setting} WHERE {key}", (*changed.values(), *found))
            self._step("records", 0)

    def _value(self, value: Any, kind: str, *, refers: bool) -> Any:
        if not isinstance(value, str | bytes):
            return value
        data = self._scrubber.scrub(value.encode() if isinstance(value, str) else value, kind)
        data = self._mapped(data) if refers else data
        return data.decode() if isinstance(value, str) else data

    def _mapped(self, data: bytes) -> bytes:
        return _HASH.sub(lambda found: self._renamed.get(found[0].decode(), found[0].decode()).encode(), data)

    def _names(self, table: str) -> list[str]:
        return [str(name) for [name] in self._connection.execute(f"SELECT hash FROM {table}")]

    def _body(self, table: str, name: str) -> bytes:
        row = self._connection.execute(f"SELECT CAST(body AS BLOB) FROM {table} WHERE hash = ?", (name,)).fetchone()
        return row[0] if row else b""

    def _replace(self, table: str, name: str, old: bytes, new: bytes) -> None:
        if new != old:
            # One that was damaged stays so: its name does not become right.
            if content_hash(old) == name:
                self._renamed[name] = content_hash(new)
            row = (self._renamed.get(name, name), new, name)
            self._connection.execute(f"UPDATE OR REPLACE {table} SET hash = ?, body = ? WHERE hash = ?", row)
        self._step("records", len(new))


def _assembled(delta: TextDelta, blobs: Blobs) -> bytes:
    """Return the text that a delta makes up, whatever its hash. Raises DeltaError when a blob is missing or short."""
    parts: list[bytes] = []
    try:
        # One by one: what came before the error counts.
        for chunk in delta.chunks(blobs):
            parts.append(chunk)
    except DeltaError:
        wanted = sum(len(one.encode()) if isinstance(one, str) else one[2] - one[1] for one in delta.pieces)
        if sum(map(len, parts)) != wanted:
            raise
    return b"".join(parts)


def _base_of(body: bytes) -> str | None:
    try:
        value: Mapping[str, Any] = json.loads(body)
        return value["base"]
    except (ValueError, LookupError, TypeError):
        return None
