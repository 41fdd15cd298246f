"""The page of a large home: a generator of the home, and measurements of its screens in a browser."""
