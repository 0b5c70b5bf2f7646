"""Overlapping supervoxels of a reference: each voxel gets one class in each of several layers.

SLIC (Achanta et al., PAMI 2012) divides randomly turned and stretched copies of the reference; brought back, their
divisions overlap, and the classes of a voxel in all layers together tell its place to within a part of a supervoxel
(Heinrich, Rethinking the design of learning based inter-patient registration using deformable supervoxels, MIDL 2021).
"""

from __future__ import annotations

import heapq
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.options import SegmentationOptions
from DiffRegLib.methods.supervoxels.preparation import body

UNIT = 500.0  # HU that count as much as `compactness` times the distance between two supervoxels (the paper's scale)
ITERATIONS = 5  # of SLIC (the paper's number)


def divide(reference: Image, options: SegmentationOptions, seed: int = 0, name: str = "the reference") -> Tensor:
    """(L, D, H, W) uint8: in every layer each class from 1 to `classes` - 1 is one connected region, 0 the background.

    reference: (1, D, H, W) in HU on the grid of the supervoxels. Every layer uses all classes, whatever the scan.
    Raises RegistrationError that names a scan in which a class would be smaller than a voxel.
    """
    inside = _near(body(reference, name), options.margin / float(reference.spacing.mean()))
    if int(inside.sum()) < 8 * options.classes:
        raise RegistrationError(
            f"{name} is too small for {options.classes} supervoxels: give a larger scan, or fewer classes.", path=name
        )
    generator = torch.Generator().manual_seed(seed)
    changes = torch.randn(options.layers, 3, 4, generator=generator) * options.variation
    with ThreadPoolExecutor(min(options.layers, cpu_count() or 1)) as pool:
        layers = list(pool.map(lambda change: _layer(reference.data, inside, change, options), changes))
    return torch.stack(layers)


def _near(inside: Tensor, voxels: float) -> Tensor:
    """(D, H, W) bool: the region grown by a distance."""
    from scipy import ndimage

    return torch.from_numpy(ndimage.distance_transform_edt(~inside.numpy()) <= voxels)


def _layer(hounsfield: Tensor, inside: Tensor, change: Tensor, options: SegmentationOptions) -> Tensor:
    """(D, H, W) uint8: the division of one changed copy, brought back."""
    matrix = torch.eye(4) + torch.nn.functional.pad(change, (0, 0, 0, 1))
    stacked = torch.cat((hounsfield, inside[None].float()))[None]
    there = affine_grid(matrix[None, :3], list(stacked.shape), align_corners=False)
    copy, mask = grid_sample(stacked, there, padding_mode="border", align_corners=False)[0]
    segments = _slic(copy.numpy(), mask.numpy() > 0.5, options)
    back = affine_grid(torch.linalg.inv(matrix)[None, :3], list(stacked.shape), align_corners=False)
    found = grid_sample(torch.from_numpy(segments)[None, None].float(), back, "nearest", "zeros", align_corners=False)
    regions = _filled(found[0, 0].numpy().astype(np.int32), inside.numpy())
    return torch.from_numpy(exactly(regions, options.classes - 1).astype(np.uint8))


def _slic(hounsfield: np.ndarray, mask: np.ndarray, options: SegmentationOptions) -> np.ndarray:
    """Segments from 1; scikit-image stretches the values inside the mask to 0 ... 1, which the compactness undoes."""
    from skimage.segmentation import slic

    values = hounsfield[mask]
    span = max(float(values.max() - values.min()), 1.0)
    return slic(
        hounsfield,
        n_segments=options.segments,
        compactness=options.compactness * UNIT / span,
        max_num_iter=ITERATIONS,
        min_size_factor=options.size_factor,
        enforce_connectivity=True,
        start_label=1,
        mask=mask,
        channel_axis=None,
    )


def _filled(segments: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The segments on a mask: 0 outside, and what has none inside gets the nearest."""
    from scipy import ndimage

    segments = np.where(inside, segments, 0)
    missing = inside & (segments == 0)
    if missing.any():
        nearest = ndimage.distance_transform_edt(segments == 0, return_distances=False, return_indices=True)
        segments = np.where(missing, segments[tuple(nearest)], segments)
    return segments


def exactly(segments: np.ndarray, count: int) -> np.ndarray:
    """(D, H, W) classes from 1 to `count`, each one connected region (by faces), of integer segments; 0 stays 0.

    The smallest region joins its smallest neighbor until `count` remain; where there are too few, the largest is cut
    in two across its longest direction. Raises RegistrationError where the regions have fewer voxels than that.
    """
    regions = _connected(segments)
    while (have := int(regions.max())) < count:
        regions = _connected(_cut(regions))
        if int(regions.max()) <= have:
            raise RegistrationError(f"A scan of {have} voxels has no room for {count} supervoxels: give a larger one.")
    return _merged(regions, count)


def _connected(segments: np.ndarray) -> np.ndarray:
    import cc3d

    return cc3d.connected_components(np.ascontiguousarray(segments.astype(np.int32)), connectivity=6)


def _cut(regions: np.ndarray) -> np.ndarray:
    """The largest region halved by a plane across its longest direction."""
    largest = int(np.bincount(regions.ravel())[1:].argmax()) + 1
    where = np.argwhere(regions == largest)
    centered = where - where.mean(0)
    along = centered @ np.linalg.eigh(centered.T @ centered)[1][:, -1]
    upper = where[along > np.median(along)] if len(where) > 2 else where[1:]
    regions = regions.copy()
    regions[tuple(upper.T)] = regions.max() + 1
    return regions


def _merged(regions: np.ndarray, count: int) -> np.ndarray:
    """Joins the smallest region with its smallest neighbor until `count` are left; one without neighbors goes to 0."""
    import cc3d

    sizes = np.bincount(regions.ravel())
    neighbors: list[set[int]] = [set() for _ in sizes]
    for a, b in cc3d.region_graph(regions, connectivity=6):
        neighbors[a].add(b)
        neighbors[b].add(a)
    parent = np.arange(len(sizes))
    heap = [(int(size), number) for number, size in enumerate(sizes) if number]
    heapq.heapify(heap)
    left = len(heap)
    while left > count:
        size, smallest = heapq.heappop(heap)
        if parent[smallest] != smallest or size != sizes[smallest]:
            continue  # joined already, or grown since
        around = neighbors[smallest] - {0}
        target = min(around, key=lambda n: (sizes[n], n)) if around else 0
        parent[smallest] = target
        sizes[target] += size
        for other in neighbors[smallest]:
            neighbors[other].discard(smallest)
            if other != target:
                neighbors[other].add(target)
                neighbors[target].add(other)
        if target:
            heapq.heappush(heap, (int(sizes[target]), target))
        left -= 1
    while (further := parent[parent]).tolist() != parent.tolist():
        parent = further
    kept = np.unique(parent[1:][parent[1:] > 0])
    number = np.zeros(len(parent), np.int64)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[parent][regions]
