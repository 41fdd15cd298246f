"""The readers of formats, one file each. They run in the confined worker (`../worker.py`), never in this process."""
