"""A method as somebody else adds it: the folder `center_method` outside of the repository, and its entry point."""

from __future__ import annotations

import shutil
from pathlib import Path

LINE = "centers = center_method:METHOD"


def install(folder: Path) -> Path:
    """What pip would leave in site-packages; the folder has to be on the path of whoever looks for methods."""
    shutil.copytree(Path(__file__).with_name("center_method"), folder / "center_method")
    about = folder / "center_method-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: center-method\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[diffreg.methods]\n{LINE}\n")
    return folder
