"""A method as somebody else adds it: the folder `diffreg_toy` outside of the repository, and its entry point."""

from __future__ import annotations

import shutil
from pathlib import Path

LINE = "toy = diffreg_toy:METHOD"


def install(folder: Path) -> Path:
    """What pip would leave in site-packages; the folder has to be on the path of whoever looks for methods."""
    shutil.copytree(Path(__file__).with_name("diffreg_toy"), folder / "diffreg_toy")
    about = folder / "diffreg_toy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: diffreg-toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[diffreg.methods]\n{LINE}\n")
    return folder
