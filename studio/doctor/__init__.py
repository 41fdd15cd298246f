"""The checks of `rlm doctor` on this machine, one file per group."""
