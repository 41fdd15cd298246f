"""The parts of a server on this machine that the page and LangGraph's Agent Server share: socket, token and guard."""
