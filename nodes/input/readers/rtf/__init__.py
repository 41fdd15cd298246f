"""The reader of RTF documents."""
