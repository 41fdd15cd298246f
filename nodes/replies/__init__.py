"""The reply of a root model: its fences, its blocks of code, and what is read out of them."""
