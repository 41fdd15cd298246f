"""A run as one HTML file: the templates of the page, without scripts and without a network."""
