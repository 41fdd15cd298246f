"""The SQLite file: connection, tables, checksums and corruption."""
