"""Scenes and nodes that the tests of the Slicer side share: oblique, anisotropic, with different values everywhere."""

import numpy as np
import slicer
import vtk

from DiffRegLib.mrml import arrays

LOGICS = ("vtkSlicerSegmentationsModuleLogic", "vtkSlicerMarkupsLogic", "vtkSlicerTransformLogic")


def new_scene():
    """A scene that knows the node classes of the modules; the logics live as long as it does."""
    scene = slicer.vtkMRMLScene()
    logics = [getattr(slicer, name)() for name in LOGICS]
    with arrays.quiet():
        for logic in logics:
            logic.SetMRMLScene(scene)
    _kept.append((scene, logics))
    return scene


def rotation(x, y, z):
    """(4, 4): right-handed degrees about R, then A, then S."""
    a, b, c = np.radians((x, y, z))
    rx = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    ry = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    rz = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rz) @ ry @ rx
    return matrix


def oblique_affine(spacing=(1.5, 2.0, 3.0), angles=(20, -15, 35), origin=(-31, 12, 55)):
    affine = rotation(*angles) @ np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return affine


MOTION = rotation(8, -5, 12)
MOTION[:3, 3] = (4, -6, 9)


def smooth_values(points):
    """(...,) a smooth function of position, different along each axis, so that a swapped or flipped axis shows."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.sin(x / 9) * 100 + y * 3 + np.cos(z / 7) * 50 + x * z / 20


def grid_points(shape, affine):
    """(D, H, W, 3) RAS mm of the voxel centers."""
    k, j, i = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return apply(affine, np.stack((i, j, k), -1))


def apply(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def volume(scene, name="ct", shape=(9, 11, 13), affine=None, values=smooth_values, dtype=np.float32):
    affine = oblique_affine() if affine is None else affine
    data = values(grid_points(shape, affine)).astype(dtype)
    return scene.AddNode(
        arrays.volume_node(slicer.vtkMRMLScalarVolumeNode, name, arrays.image_data(data[None]), affine)
    )


def linear_parent(scene, node, matrix=MOTION, name="moved"):
    """A node placed under a linear transform that carries it by `matrix` (to the parent)."""
    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    parent.SetMatrixTransformToParent(arrays.array_to_matrix(matrix))
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


def bent_transform():
    """A vtkThinPlateSplineTransform that bends: points move by up to 4 mm, and not all alike."""
    source = np.array([[x, y, z] for x in (-60, 60) for y in (-60, 60) for z in (-60, 60)] + [[0, 0, 0]], dtype=float)
    target = source + np.array([[2.0, 0, 0]] * 4 + [[0, -2.0, 0]] * 4 + [[0, 1.0, 4.0]])
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetSourceLandmarks(arrays.to_vtk_points(source))
    spline.SetTargetLandmarks(arrays.to_vtk_points(target))
    spline.SetBasisToR()
    return spline


def bent_parent(scene, node, name="bent"):
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    parent.SetAndObserveTransformToParent(bent_transform())
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


def markups(scene, positions, name="landmarks", node_class="vtkMRMLMarkupsFiducialNode"):
    node = scene.AddNewNodeByClass(node_class, name)
    for n, position in enumerate(positions):
        node.AddControlPoint(np.array(position, dtype=float), f"p{n}")
    return node


def model(scene, name="liver", radius=20.0, center=(10, -20, 30)):
    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(radius)
    sphere.SetCenter(center)
    sphere.SetOutputPointsPrecision(vtk.vtkAlgorithm.DOUBLE_PRECISION)
    sphere.Update()
    node = scene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetAndObservePolyData(sphere.GetOutput())
    return node


def segmentation(scene, boxes, name="organs", affine=None):
    """A segmentation of boxes: name -> (i0, i1, j0, j1, k0, k1), ends included, on the grid of `affine`."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    for n, (segment_name, extent) in enumerate(boxes.items()):
        image = slicer.vtkOrientedImageData()
        image.SetExtent(*extent)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        image.GetPointData().GetScalars().Fill(1)
        image.SetImageToWorldMatrix(arrays.array_to_matrix(oblique_affine() if affine is None else affine))
        segment = slicer.vtkSegment()
        segment.SetName(segment_name)
        segment.SetColor(0.1 * n, 0.5, 0.9)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    return node


def state(scene):
    """What the scene holds, to prove that nothing was added, removed or put under another transform."""
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    parents = [n.GetTransformNodeID() if n.IsA("vtkMRMLTransformableNode") else None for n in nodes]
    return [(n.GetID(), n.GetMTime()) for n in nodes], parents


_kept = []
