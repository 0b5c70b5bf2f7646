"""Compiled kernels; importing a module of this room imports numba, so only `backend` does it, and on first use."""
