"""Kernels on threads: plain Python threads around code that releases the interpreter lock.

No threading layer of a compiler is involved, so that a kernel may be called from several threads at once, after a
fork, and beside torch's own threads, whose number it takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}  # by process and number of threads
_cores: ContextVar[int | None] = ContextVar("cores", default=None)
_kept: ContextVar[int | None] = ContextVar("kept", default=None)


def threads() -> int:
    """How many threads a kernel takes: as many as torch, or as torch had before `one_thread`."""
    return _kept.get() or torch.get_num_threads()


@contextmanager
def one_thread(kernels: bool = False) -> Iterator[None]:
    """Lets torch work on one thread, and the kernels too unless `kernels` says that they keep theirs.

    For thousands of operations on small data: a second thread gains little, and where another program has that core
    the wait for it takes ten times as long as the work.
    """
    before = torch.get_num_threads()
    cores = _cores.set(_cores.get() or before)
    token = _kept.set(threads() if kernels else 1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _kept.reset(token)
        _cores.reset(cores)


def spans(count: int, smallest: int) -> list[tuple[int, int]]:
    """Cuts range(count) into one piece a thread, each of at least `smallest` items; one piece if there are few."""
    pieces = max(1, min(threads(), count // smallest))
    edges = [count * piece // pieces for piece in range(pieces + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def in_parallel(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    """Calls `work` with every item; as many threads as torch uses, this one among them, take the next one when free."""
    items = list(items)
    left = iter(items)

    def take() -> None:
        for item in left:
            work(item)

    futures = [_pool().submit(take) for _ in range(min(threads(), len(items)) - 1)]
    try:
        take()
    finally:
        for future in futures:
            future.result()


def side_by_side(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """The results of `work`, in the order of the items; each item on one thread, as many at once as there are cores.

    For work that torch cannot share, or many operations too short to be: `one_thread` does not hold it back. The bits
    are the same for any number of cores.
    """
    items = list(items)
    with one_thread():
        count = min(_cores.get() or 1, len(items))
        if count < 2:
            return [work(item) for item in items]
        key = (os.getpid(), -count)
        if key not in _pools:
            _pools[key] = ThreadPoolExecutor(count, "diffreg-side", initializer=torch.set_num_threads, initargs=(1,))
        return list(_pools[key].map(work, items))


def _pool() -> ThreadPoolExecutor:
    key = (os.getpid(), max(1, threads() - 1))
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(key[1], thread_name_prefix="diffreg")
    return _pools[key]
