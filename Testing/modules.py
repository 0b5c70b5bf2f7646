"""The panels of the extension, in one place: every folder of `DiffReg` that describes a module."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = {path.parent.name: path.with_name(f"{path.parent.name}.py") for path in ROOT.glob("DiffReg/*/CMakeLists.txt")}
"""The Python file of each module by its name."""
