"""The readers of messages and mailboxes."""
