"""The readers of HTML pages and EPUB books."""
