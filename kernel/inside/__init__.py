"""Code that runs inside the kernel process, imported there as `rlm_inside`.

It uses the standard library, cloudpickle and numpy.
"""
