"""Names of LangGraph's that are not documented, each with what it is used for."""

CHECKPOINTER_KEY = "__pregel_checkpointer"
"""In `configurable` of a running task: the saver, from which the interrupts that the task has shown are read."""
CHECKPOINT_MAP_KEY = "checkpoint_map"
"""In `configurable` of a running task: the checkpoints by namespace, of which the task is saved with the one above."""
INTERRUPT_CHANNEL = "__interrupt__"
"""The channel under which an interrupt is saved with its task."""
FORWARDED_KEYS = frozenset({"__pregel_node_finished", "__pregel_stream_messages_v2"})
"""The keys of `configurable` that a caller may set: for a server's count of nodes, and for the form of messages."""
