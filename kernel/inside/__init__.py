"""What runs inside the kernel process: standard library only, imported there as `rlm_inside`."""
