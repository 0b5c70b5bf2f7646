"""Whether a PLY file is whole: VTK's reader crashes on one that is cut."""

from __future__ import annotations

from pathlib import Path

BYTES = {
    "char": 1, "uchar": 1, "int8": 1, "uint8": 1, "short": 2, "ushort": 2, "int16": 2, "uint16": 2,
    "int": 4, "uint": 4, "int32": 4, "uint32": 4, "float": 4, "float32": 4, "double": 8, "float64": 8,
}  # fmt: skip
CORNERS = 3  # of the smallest face


def is_complete(path: Path) -> bool:
    """Does the file hold as many elements as its header announces? Faces count with three corners each."""
    content = path.read_bytes()
    header, found, body = content.partition(b"end_header")
    lines = [line.split() for line in header.decode("ascii", "replace").splitlines() if line.strip()]
    if not found or not lines or lines[0] != ["ply"]:
        return False
    body = body.partition(b"\n")[2]
    try:
        elements = _elements(lines)
        if ["format", "ascii", "1.0"] in lines:
            return sum(1 for line in body.splitlines() if line.strip()) >= sum(n for n, _ in elements)
        return len(body) >= sum(n * size for n, size in elements)
    except (ValueError, IndexError, KeyError):
        return False


def _elements(lines: list[list[str]]) -> list[tuple[int, int]]:
    """Number and least bytes of the items of each element."""
    elements: list[tuple[int, int]] = []
    for words in lines:
        if words[0] == "element":
            elements.append((int(words[2]), 0))
        elif words[0] == "property":
            size = BYTES[words[2]] + CORNERS * BYTES[words[3]] if words[1] == "list" else BYTES[words[1]]
            number, before = elements.pop()
            elements.append((number, before + size))
    return elements
