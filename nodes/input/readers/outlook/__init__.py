"""The readers of Outlook items and containers."""
