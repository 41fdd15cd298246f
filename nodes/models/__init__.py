"""Everything between a node and a model: requests and replies, retries, providers, prices, typed answers."""
