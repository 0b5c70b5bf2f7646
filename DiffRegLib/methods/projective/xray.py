"""The name by which scripts of before find the reading of X-rays, which is in `radiographs.xray`."""

from DiffRegLib.radiographs.xray import prepare, read_xray

__all__ = ["prepare", "read_xray"]
