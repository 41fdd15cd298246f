"""The tables of the database file, and the migrations from earlier formats.

`FORMATS[n]` brings a file of format n to format n + 1; a new file starts at 0. An entry never changes once it was
released: later formats are appended.

Rows that are not named by their content carry a checksum over their columns (`tables.py`), which triggers keep up to
date (`checksums.py`), so that a flipped bit is noticed wherever it falls.
"""

from .checksums import checksum_sql
from .tables import CALLS, CHECKPOINTS, CHILDREN, EXECUTIONS, STEPS, THREADS, TURNS, WRITES, Table

_FIRST = """
CREATE TABLE IF NOT EXISTS texts (
    hash TEXT PRIMARY KEY,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread_id TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    turn INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    model TEXT NOT NULL,
    prompt TEXT NOT NULL,
    status TEXT NOT NULL,
    answer TEXT,
    error_kind TEXT,
    error TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost REAL,
    seconds REAL NOT NULL DEFAULT 0,
    reused INTEGER NOT NULL DEFAULT 0,
    child_thread TEXT,
    created REAL NOT NULL,
    UNIQUE (thread_id, key)
);
CREATE TABLE IF NOT EXISTS steps (
    thread_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    checkpoint_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    turn INTEGER NOT NULL,
    summary TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (thread_id, step)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS steps_by_checkpoint ON steps (thread_id, checkpoint_id);
CREATE TABLE IF NOT EXISTS threads (
    thread_id TEXT PRIMARY KEY,
    question TEXT NOT NULL,
    input TEXT NOT NULL,
    start TEXT NOT NULL,
    model TEXT NOT NULL,
    parent TEXT,
    limits TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT,
    turns INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    updated REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    thread_id TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    owner TEXT,
    renewed REAL NOT NULL
) WITHOUT ROWID;
"""

# `checkpoints` and `writes` are LangGraph's tables, as its saver creates them; created here to add checksums.
# `touched` is when a writer last needed a body: one that nothing refers to and was not touched lately may be deleted.
# `settled` counts settled calls over the whole file: it says which answers were known when a step was saved.
_SECOND = """
CREATE TABLE IF NOT EXISTS checkpoints (
    thread_id TEXT NOT NULL,
    checkpoint_ns TEXT NOT NULL DEFAULT '',
    checkpoint_id TEXT NOT NULL,
    parent_checkpoint_id TEXT,
    type TEXT,
    checkpoint BLOB,
    metadata BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE TABLE IF NOT EXISTS writes (
    thread_id TEXT NOT NULL,
    checkpoint_ns TEXT NOT NULL DEFAULT '',
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    task_path TEXT NOT NULL DEFAULT '',
    idx INTEGER NOT NULL,
    channel TEXT NOT NULL,
    type TEXT,
    value BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
ALTER TABLE texts ADD COLUMN touched REAL NOT NULL DEFAULT 0;
CREATE TABLE chunks (
    hash TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    touched REAL NOT NULL
);
CREATE TABLE manifests (
    hash TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    touched REAL NOT NULL
);
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
ALTER TABLE calls ADD COLUMN settled INTEGER;
UPDATE calls SET settled = seq WHERE status != 'asked';
INSERT INTO counters VALUES ('settled', (SELECT coalesce(max(seq), 0) FROM calls));
ALTER TABLE steps ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
UPDATE steps SET settled = coalesce((SELECT max(seq) FROM calls WHERE calls.created <= steps.created), 0);
ALTER TABLE threads ADD COLUMN horizon INTEGER;
"""

# A child thread is one that a call of another thread started; other threads have no row here.
# A recipe is a delta: how a text that is not stored itself is assembled, mostly from ranges of a blob.
_THIRD = """
CREATE TABLE children (
    thread_id TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    call TEXT NOT NULL,
    depth INTEGER NOT NULL
);
CREATE INDEX children_by_caller ON children (caller);
CREATE TABLE recipes (
    hash TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    touched REAL NOT NULL
);
"""

# Uncertain requests: the input tokens and input cost that are expected of them, the output limit that they carried,
# and the most tokens and dollars that they may have taken. Before this format, a row's own sums held the most.
_FOURTH = """
ALTER TABLE calls ADD COLUMN uncertain_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN uncertain_input INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN uncertain_output INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN uncertain_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN uncertain_cost REAL DEFAULT 0.0;
ALTER TABLE calls ADD COLUMN uncertain_input_cost REAL DEFAULT 0.0;
"""
_UNANSWERED = """
UPDATE calls SET uncertain_calls = attempts, uncertain_input = input_tokens, uncertain_output = output_tokens,
    uncertain_tokens = input_tokens + output_tokens, uncertain_cost = cost,
    uncertain_input_cost = cost * input_tokens / max(input_tokens + output_tokens, 1),
    input_tokens = 0, output_tokens = 0, cost = CASE WHEN cost IS NULL THEN NULL ELSE 0.0 END
    WHERE status = 'asked' AND child_thread IS NULL;
"""
# What was sent and when: `request` is the digest of the request, NULL in rows of earlier formats, whose keys name the
# model that answered; `parameters` its options as JSON; `messages` the hashes of a root request's messages, as JSON;
# `queued` the time at which code asked; `line` the line of its block of code; `attempt_log` for each attempt a line of
# JSON, `[begun, ended, outcome]`. `streamed_…` are the uncertain requests of which a part of the answer had arrived,
# and the tokens of those parts. `places` says which parts of the input were sent (`evidence/recorded.py`).
_FIFTH = """
ALTER TABLE calls ADD COLUMN request TEXT;
ALTER TABLE calls ADD COLUMN parameters TEXT;
ALTER TABLE calls ADD COLUMN messages TEXT;
ALTER TABLE calls ADD COLUMN thoughts TEXT;
ALTER TABLE calls ADD COLUMN queued REAL;
ALTER TABLE calls ADD COLUMN attempt_log TEXT;
ALTER TABLE calls ADD COLUMN line INTEGER;
ALTER TABLE calls ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN cache_write_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN thought_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN streamed_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN streamed_output INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN places TEXT;
"""
# `home` says what the home is: its random `id` (`home_id.py`), and `scrubbed`, the record of a scrubbed copy.
_HOME = """
CREATE TABLE home (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""
# Jobs: `stop` is the token of the holder that is asked to stop, which a later holder does not have; `stop_all` says
# that the other runs of its process end, too. A notification is sent until it has `ended`; `event` is the same however
# often it is entered. `due` is when to try (again), `problem` why the last attempt failed.
_JOBS = """
ALTER TABLE leases ADD COLUMN stop INTEGER;
ALTER TABLE leases ADD COLUMN stop_all INTEGER NOT NULL DEFAULT 0;
CREATE TABLE notifications (
    event TEXT NOT NULL,
    target TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    body TEXT NOT NULL,
    created REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    ended REAL,
    problem TEXT,
    PRIMARY KEY (event, target)
) WITHOUT ROWID;
CREATE INDEX notifications_by_thread ON notifications (thread_id);
"""
# A row for each turn and for each execution, so that a run is shown without its checkpoints (`turn_rows.py`,
# `executions.py`). The indexes are for reading a long run by parts (`docs/design/0042-the-page.md`).
_SHOWN = """
CREATE TABLE turns (
    thread_id TEXT NOT NULL,
    turn INTEGER NOT NULL,
    summary TEXT NOT NULL DEFAULT '',
    flags TEXT NOT NULL DEFAULT '',
    status TEXT,
    asked REAL,
    planned REAL,
    began REAL,
    ended REAL,
    computed REAL,
    calls INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cut INTEGER NOT NULL DEFAULT 0,
    reused INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost REAL,
    first_call REAL,
    last_call REAL,
    PRIMARY KEY (thread_id, turn)
) WITHOUT ROWID;
CREATE TABLE executions (
    thread_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    reason TEXT NOT NULL,
    begun REAL NOT NULL,
    ended REAL,
    outcome TEXT,
    detail TEXT,
    PRIMARY KEY (thread_id, number)
) WITHOUT ROWID;
CREATE INDEX calls_by_thread ON calls (thread_id, seq);
CREATE INDEX calls_by_turn ON calls (thread_id, turn, kind, seq);
CREATE INDEX calls_failed ON calls (thread_id, seq) WHERE status = 'failed';
CREATE INDEX calls_settled ON calls (thread_id, settled);
CREATE INDEX writes_by_channel ON writes (thread_id, channel, checkpoint_id);
CREATE INDEX threads_by_time ON threads (updated DESC, thread_id);
"""


def _triggers(table: Table, version: int) -> list[str]:
    """Return statements that create the triggers which keep the checksums of a table up to date."""
    name, columns = table.name, table.columns(version)
    this = " AND ".join(f"{column} = NEW.{column}" for column in table.key)
    new, old = checksum_sql(columns, "NEW."), checksum_sql(columns, "OLD.")
    # A damaged row stays damaged whatever is written into it: a new checksum would hide the damage.
    kept = f"CASE WHEN OLD.seal IS {old} THEN {new} END"
    return [
        f"CREATE TRIGGER {name}_inserted AFTER INSERT ON {name} "
        f"BEGIN UPDATE {name} SET seal = {new} WHERE {this}; END;",
        f"CREATE TRIGGER {name}_updated AFTER UPDATE OF {', '.join(columns)} ON {name} "
        f"BEGIN UPDATE {name} SET seal = {kept} WHERE {this}; END;",
    ]


def _add_checksums(version: int, *tables: Table) -> str:
    """Return statements that add checksums to tables that had none before the format `version`."""
    statements: list[str] = []
    for table in tables:
        statements += [
            f"ALTER TABLE {table.name} ADD COLUMN seal BLOB;",
            f"UPDATE {table.name} SET seal = {checksum_sql(table.columns(version))};",
            *_triggers(table, version),
        ]
    return "\n".join(statements)


def _extend_checksums(version: int, table: Table) -> str:
    """Return statements that extend a table's checksum to the columns of `version`. A damaged row stays damaged."""
    intact = f"seal IS {checksum_sql(table.columns(version - 1))}"
    return "\n".join(
        [
            f"DROP TRIGGER {table.name}_inserted;",
            f"DROP TRIGGER {table.name}_updated;",
            f"UPDATE {table.name} SET seal = CASE WHEN {intact} THEN {checksum_sql(table.columns(version))} END;",
            *_triggers(table, version),
        ]
    )


FORMATS: tuple[str, ...] = (
    _FIRST,
    _SECOND + _add_checksums(2, CHECKPOINTS, WRITES, CALLS, STEPS, THREADS),
    _THIRD + _add_checksums(3, CHILDREN),
    # Rows are changed after the new checksums are set: updating a damaged one must not hide its damage.
    _FOURTH + _extend_checksums(4, CALLS) + _UNANSWERED,
    _FIFTH + _extend_checksums(5, CALLS) + _HOME + _JOBS + _SHOWN + _add_checksums(5, TURNS, EXECUTIONS),
)
SCHEMA_VERSION = len(FORMATS)
