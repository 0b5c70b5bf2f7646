"""Text of foreign files: whoever wrote it, it is never a reason to fail."""

from __future__ import annotations

import codecs
from pathlib import Path

from DiffRegLib.errors import RegistrationError


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8 or, by its mark, UTF-16; what is neither is taken for Windows' Western European.

    Raises `RegistrationError` where the file cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RegistrationError(
            f"{path} cannot be read ({error.strerror or type(error).__name__}): check the file.", path=path
        ) from None
    return decoded(content)


def decoded(content: bytes) -> str:
    """Bytes as text, see `read_text`; a mark in front is dropped."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
