"""LangGraph's Agent Server with graph `rlm`: how it is started, and who may ask it for anything."""
