"""Saving and restoring the REPL's variables, inside the kernel: what changed since the last cell, as opaque bytes.

- `names`: which variables a cell's code may have touched, from its bytecode alone.
- `reach`: what a variable holds, and which other variables its functions may touch.
- `grouping`: variables that share objects belong together, so that aliases survive.
- `pickler`, `loader`, `lost`: a group as bytes and back; what cannot be saved becomes a placeholder that raises.
- `cuts`, `samples`: strings that were cut from the input, as their places there (`0012-variables-by-reference.md`).
- `chunks`: bytes cut where their content says, so that a small change makes few new pieces.
- `ambient`: state outside of the namespace that code relies on (random generators, patched modules).
- `snapshots`: all of it together.

How it came about, with numbers: `docs/design/0005-snapshots.md`.
"""
