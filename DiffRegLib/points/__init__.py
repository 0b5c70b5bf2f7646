"""Point clouds: from surfaces, vessels, label maps, markups and tables; sampling; files."""

from DiffRegLib.points.cloud import PointCloud

__all__ = ["PointCloud"]
