"""The screenshots of the documentation: a sample home, and pictures of its page in Chromium (`make screenshots`)."""
