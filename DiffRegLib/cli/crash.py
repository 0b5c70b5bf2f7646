"""A failure that nobody foresaw: one sentence for the person, the details in a file for whoever repairs it."""

from __future__ import annotations

import tempfile
import traceback


class Crash(Exception):
    """A worker that failed: `sentence` says how, `details` hold its traceback or its last words."""

    def __init__(self, sentence: str, details: str) -> None:
        super().__init__(sentence)
        self.sentence, self.details = sentence, details


def describe_crash(error: Exception) -> str:
    """One sentence that names the file of the details."""
    if isinstance(error, Crash):
        sentence, details = error.sentence, error.details
    else:
        details = "".join(traceback.format_exception(error))
        sentence = f"The command failed unexpectedly ({type(error).__name__})"
    with tempfile.NamedTemporaryFile("w", prefix="diffreg-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(details)
    return f"{sentence.rstrip('.')}: the details are in {file.name}."
