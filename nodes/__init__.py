"""The nodes of the graph, one file each, and the parts that they are made of."""
