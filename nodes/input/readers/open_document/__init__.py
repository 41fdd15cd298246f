"""The readers of OpenDocument texts, sheets and presentations."""
