"""The page: runs of a home as server-rendered HTML, for a browser on this machine (`rlm view`, `rlm dev`).

Screens read through `graph/queries.py` and its neighbours, as the command line does, and import neither LangGraph nor a
kernel. Whatever changes a run is done by a program of its own (`screens/actions.py`).
"""
