"""What the machine does: one file a node, and what the nodes are made of."""
