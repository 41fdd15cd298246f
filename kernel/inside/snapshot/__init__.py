"""Saving and restoring the REPL's variables, inside the kernel: changes since the last cell, as opaque bytes.

- `code_names`: the variables that a cell's code may have touched, from its bytecode alone.
- `object_graph`: the objects that a variable holds, and the other variables that its functions may touch.
- `partition`: groups of variables that share objects, so that aliases survive.
- `groups`: one group of variables: pickled, in the form that the store keeps, and loaded again.
- `pickler`, `unpickler`, `placeholder`: a group as bytes and back. An object that cannot be saved becomes a
  placeholder that raises.
- `classes`, `arrays`, `special_kinds`, `tracebacks`, `addresses`: objects that pickle would save wrongly or not at all.
- `code_objects`: bytecode, and its source for another Python.
- `shell_names`: the names that are variables only once code binds them.
- `input_slices`, `slice_index`: strings that were cut from the input, saved as their places there
  (`docs/design/0012-variables-by-reference.md`).
- `chunks`: bytes cut at boundaries that depend on their content, so that a small change makes few new pieces.
- `process_state`: state outside of the namespace that code relies on: random generators, `process_parts` (settings of
  the process), and `patches` (attributes of modules and classes).
- `outside_references`, `handed_code`: what a library holds of the variables, so that their changes are seen.
- `files`: the files of the scratch folder.
- `compare`: the comparison of a rebuilt REPL with saved variables.
- `snapshotter`: all of these together.

Reasons and measurements: `docs/design/0005-snapshots.md`.
"""
