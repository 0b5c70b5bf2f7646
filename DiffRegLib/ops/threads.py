"""Kernels on threads: plain Python threads around code that releases the interpreter lock.

No threading layer of a compiler is involved, so that a kernel may be called from several threads at once, after a
fork, and beside torch's own threads, whose number it takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}  # by process and number of threads


def spans(count: int, smallest: int) -> list[tuple[int, int]]:
    """Cuts range(count) into one piece a thread, each of at least `smallest` items; one piece if there are few."""
    pieces = max(1, min(torch.get_num_threads(), count // smallest))
    edges = [count * piece // pieces for piece in range(pieces + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def in_parallel(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    """Calls `work` with every item; as many threads as torch uses, this one among them, take the next one when free."""
    items = list(items)
    left = iter(items)

    def take() -> None:
        for item in left:
            work(item)

    futures = [_pool().submit(take) for _ in range(min(torch.get_num_threads(), len(items)) - 1)]
    try:
        take()
    finally:
        for future in futures:
            future.result()


def _pool() -> ThreadPoolExecutor:
    key = (os.getpid(), max(1, torch.get_num_threads() - 1))
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(key[1], thread_name_prefix="diffreg")
    return _pools[key]
