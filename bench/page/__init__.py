"""The page of a large home: a generator of the home, and what its screens take in a browser."""
