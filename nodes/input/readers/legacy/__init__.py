"""The readers of old Office files, through LibreOffice."""
