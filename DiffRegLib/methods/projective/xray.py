"""The name by which scripts of before find the reading of X-rays, which is in `radiographs`."""

from DiffRegLib.radiographs.radiograph import prepare
from DiffRegLib.radiographs.xray import read_xray

__all__ = ["prepare", "read_xray"]
