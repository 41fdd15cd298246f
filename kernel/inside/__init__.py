"""What runs inside the kernel process: the standard library, cloudpickle and numpy, imported there as `rlm_inside`."""
