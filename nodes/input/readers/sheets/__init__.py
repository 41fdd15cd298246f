"""The readers of Excel workbooks, and number formats."""
