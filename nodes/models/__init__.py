"""Access to models: requests and replies, retries, providers, prices, typed answers."""
