"""The commands of the group `rlm home`."""
