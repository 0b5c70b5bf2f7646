"""What the command line prints: a bar and a table for a person, plain lines for a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from DiffRegLib.jobs import Event

STEP = 0.1  # plain lines: one a tenth of the work, and one a stage


@contextmanager
def progress_display() -> Iterator[Callable[[Event], None]]:
    """A function that shows each event of a worker."""
    if sys.stdout.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines()


@contextmanager
def _bar() -> Iterator[Callable[[Event], None]]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("Starting.", total=1.0, left="")

        def show(event: Event) -> None:
            if not event.done and event.error is None:
                seconds = event.seconds_left()
                left = "" if seconds is None else f"about {seconds:.0f} s left"
                progress.update(task, completed=event.fraction, description=_words(event), left=left)

        yield show


class _Lines:
    def __init__(self) -> None:
        self._next, self._message = 0.0, ""

    def __call__(self, event: Event) -> None:
        if event.done or event.error is not None:
            return
        if event.message != self._message or event.fraction >= self._next:
            self._next, self._message = event.fraction + STEP, event.message
            print(f"{100 * event.fraction:3.0f} %  {event.time:6.1f} s  {_words(event)}", flush=True)


def _words(event: Event) -> str:
    return event.message if event.loss is None else f"{event.message.rstrip('.')}, loss {event.loss:.4g}."


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the first column is words, the others are numbers."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        shown = Table(title=title, title_justify="left")
        for i, name in enumerate(header):
            shown.add_column(name, justify="right" if i else "left", overflow="fold")
        for row in rows:
            shown.add_row(*row)
        Console(markup=False, highlight=False).print(shown)
        return
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(title)
    for row in [header, *rows] if any(header) else rows:
        cells = [cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip())


def facts(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Prints names and what they are, one a line."""
    width = max((len(name) for name, _ in pairs), default=0)
    print(title)
    for name, value in pairs:
        print(f"  {name.ljust(width)}  {value}")
