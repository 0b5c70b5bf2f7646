"""The end of the demo: the panel Splat Registration registers the phantom and shows what it did."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from Testing.host.host import Host
from Testing.modules import MODULES

PATIENCE = 600  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.demo_panel", description=__doc__)
    parser.add_argument("patient", type=Path, help="folder that `diffreg phantom` wrote")
    parser.add_argument("--screenshot", type=Path, help="write a PNG of the window and end; needs no screen")
    arguments = parser.parse_args()
    host = Host()
    host.window.show()
    panel = host.open_module(MODULES["SplatRegistration"])
    choose(panel, load(arguments.patient))
    host.click(panel.ui.applyButton)
    if arguments.screenshot is None:
        host.application.exec()
    else:
        host.wait_until(lambda: panel.runner.run is None, PATIENCE, "the end of the registration")
        host.process(500)
        host.screenshot(arguments.screenshot)
    failed = panel.ui.statusLabel.text
    host.close()
    return 1 if failed else 0


def load(patient: Path) -> dict:
    """The inputs of the panel by role, as nodes."""
    import slicer

    nodes = {}
    for side in ("fixed", "moving"):
        nodes[side] = slicer.util.loadVolume(str(patient / f"{side}_ct.nii.gz"))
        nodes[f"{side}_landmarks"] = points_node(patient / f"{side}_landmarks.csv")
    slicer.util.setSliceViewerLayers(background=nodes["fixed"], fit=True)
    return nodes


def points_node(path: Path):
    """A `.csv` of x, y, z in RAS mm as a hidden list of points."""
    import numpy as np
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", path.stem)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(False)
    slicer.util.updateMarkupsControlPointsFromArray(
        node, np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 2))
    )
    return node


def choose(panel, nodes: dict) -> None:
    """Sets the inputs in the panel's parameter node, as a person does in its selectors."""
    for role, node in nodes.items():
        setattr(panel._parameterNode, role, node)


if __name__ == "__main__":
    sys.exit(main())
