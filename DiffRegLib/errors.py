"""The two ways in which a registration ends without a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def plain(option: str) -> str:
    """The name of an option as words."""
    return option.replace("_", " ")


class RegistrationError(ValueError):
    """Input that cannot be registered: one sentence that names what is wrong and says what to do.

    option: the options (or roles of inputs) that the sentence names, each in braces: `"{voxel} is 0: give more."`.
    path: the file that is at fault, as the sentence names it. Each front end words both for its reader: options as
    flags or as labels of widgets, paths as names of nodes. As a string, options are plain words.
    """

    def __init__(self, sentence: str, *, option: str | Sequence[str] = (), path: object = "") -> None:
        self.sentence, self.path = sentence, str(path)
        self.options = (option,) if isinstance(option, str) else tuple(option)
        super().__init__(self.worded())

    def worded(self, option: Callable[[str], str] = plain, path: Callable[[str], str] = str) -> str:
        """The sentence with the reader's words for the options and for the path."""
        sentence = self.sentence
        for name in self.options:
            sentence = sentence.replace(f"{{{name}}}", option(name))
        sentence = sentence.replace(self.path, path(self.path)) if self.path else sentence
        begins = option is plain and self.sentence.startswith("{")
        return sentence[:1].upper() + sentence[1:] if begins else sentence


class Cancelled(Exception):
    """Raised by a progress callback to end the work; nothing is kept."""
