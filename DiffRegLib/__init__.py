"""Differentiable registration of medical images and point clouds, without Slicer."""

__version__ = "0.1.0"
