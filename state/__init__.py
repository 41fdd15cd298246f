"""The durable state: the wire format of a run, its settings, and the stores that hold it."""
