"""The REPL: one session protocol, the Jupyter kernel behind it, and what runs inside that kernel."""
