"""python -m Testing.host MODULE [SCENE] [--screenshot FILE]: open a panel for a person, or photograph it."""

import argparse
import os
import sys
from pathlib import Path

from ..modules import MODULES
from . import requirements


def main():
    parser = argparse.ArgumentParser(prog="python -m Testing.host", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "module", type=Path, help="a module of the extension by its name, or the file or folder of any scripted module"
    )
    parser.add_argument("scene", type=Path, nargs="?", help="a scene (.mrb, .mrml) or any file that Slicer loads")
    parser.add_argument("--screenshot", type=Path, help="write a PNG of the window and end; needs no screen")
    arguments = parser.parse_args()
    if requirements.missing():
        return requirements.missing()
    screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not screen and arguments.screenshot is None:
        return "There is no screen to open a window on; --screenshot FILE works without one."
    path = MODULES.get(str(arguments.module), arguments.module)
    if path.is_dir():
        path = path / f"{path.name}.py"
    for given in (path, arguments.scene):
        if given is not None and not given.is_file():
            return f"There is no file {given}."

    from .host import Host

    host = Host()
    host.window.show()
    if arguments.scene is not None:
        load(host, arguments.scene)
    host.open_module(path)
    if arguments.screenshot is None:
        host.application.exec()
    else:
        host.process(300)
        host.screenshot(arguments.screenshot)
    host.close()
    return 0


def load(host, path):
    import slicer

    if host.app.coreIOManager().fileType(path) == "SceneFile":
        host.load_scene(path)
    else:
        slicer.util.loadNodeFromFile(str(path))
        slicer.util.resetThreeDViews()


if __name__ == "__main__":
    sys.exit(main())
