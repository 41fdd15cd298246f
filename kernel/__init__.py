"""The REPL: the session protocol, the Jupyter kernel behind it, and the code that runs inside that kernel."""
