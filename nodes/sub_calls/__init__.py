"""Sub-calls of a cell: answered from the journal, by a model, or by a sub-RLM."""
