"""How every CPU kernel is compiled."""

from __future__ import annotations

from collections.abc import Callable

from numba import njit

# Everything that lets sums be vectorized, but neither "nnan" nor "ninf": comparisons must still catch NaN and infinity.
FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}


def jit(function: Callable, **more) -> Callable:
    """Compiles for the CPU without the interpreter lock; cached beside the source or in the user's cache folder."""
    options = {"nogil": True, "fastmath": FAST, "error_model": "numpy", **more}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither place can be written: compile once a process
        return njit(**options)(function)


def inlined(function: Callable) -> Callable:
    """As `jit`, for functions that take arrays in innermost loops, where a call would count references."""
    return jit(function, inline="always")
