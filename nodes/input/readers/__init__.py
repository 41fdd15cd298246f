"""The readers of formats. They run in confined reader processes (`../reader_process.py`), never in the program."""
