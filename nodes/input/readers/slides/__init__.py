"""The reader of PowerPoint presentations."""
