"""The evidence of an answer: the passages of the input that it cites, and the parts of the input that models saw."""
