"""Slice view and 3D view: Slicer's displayable managers and interactor styles in a RenderView."""

import slicer
import vtk
from PySide6 import QtCore, QtGui

from .pythonqt import stand_in
from .render_view import RenderView

COMMON = "OrientationMarkerDisplayableManager RulerDisplayableManager MarkupsDisplayableManager"
COMMON += " LinearTransformsDisplayableManager ColorLegendDisplayableManager"
SLICE = f"VolumeGlyphSliceDisplayableManager ModelSliceDisplayableManager CrosshairDisplayableManager {COMMON}"
SLICE += " ScalarBarDisplayableManager SegmentationsDisplayableManager2D TransformsDisplayableManager2D"
THREE_D = "VolumeRenderingDisplayableManager CameraDisplayableManager ViewDisplayableManager ModelDisplayableManager"
THREE_D += f" ThreeDReformatDisplayableManager CrosshairDisplayableManager3D {COMMON}"
THREE_D += " SegmentationsDisplayableManager3D TransformsDisplayableManager3D"


class MRMLView(RenderView):
    """A view with a group of displayable managers, which ask for a new frame."""

    def _start_managers(self, factory, names, style):
        factory = factory.GetInstance()
        for name in ("vtkMRML" + n for n in names.split()):
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self._renderer)
        self._group.Initialize(factory, self._renderer)
        self._group.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: self.scheduleRender())
        self._style = style
        self._style.SetDisplayableManagers(self._group)

    def displayableManagerGroup(self):
        return self._group

    def displayableManagerByClassName(self, name):
        return self._group.GetDisplayableManagerByClassName(name)

    def addDisplayableManager(self, name):
        self._group.AddDisplayableManager(slicer.vtkMRMLDisplayableManagerGroup.InstantiateDisplayableManager(name))

    def interactorObserver(self):
        return self._style

    def interactorStyle(self):
        return self._style

    def setViewCursor(self, cursor):
        self.setCursor(cursor)

    def unsetViewCursor(self):
        self.unsetCursor()

    setDefaultViewCursor = setViewCursor

    def close_view(self):
        self._group.RemoveAllObservers()
        self._style.SetInteractor(None)
        self._group.SetMRMLDisplayableNode(None)
        super().close_view()


@stand_in
class qMRMLSliceView(MRMLView):
    """The image that the slice logic blends, under what the displayable managers draw."""

    def __init__(self, logic, parent=None):
        super().__init__(parent)
        self._logic = logic
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._image_actor, self._connection = self._add_image_actor(), None
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(logic)
        self._start_managers(slicer.vtkMRMLSliceViewDisplayableManagerFactory, SLICE, style)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        style.SetInteractor(self._interactor)
        logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.scheduleRender())

    def _add_image_actor(self):
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        return actor

    def setMRMLSliceNode(self, node):
        self._group.SetMRMLDisplayableNode(node)
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.scheduleRender())

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def resized(self, width, height):
        self._logic.ResizeSliceNode(width, height)

    def before_render(self):
        connection = self._logic.GetImageDataConnection()
        if connection is not self._connection:
            self._connection = connection
            self._renderer.RemoveViewProp(self._image_actor)
            self._image_actor.GetMapper().SetInputConnection(connection)
            if connection is not None:
                self._renderer.AddViewProp(self._image_actor)

    def convertDeviceToXYZ(self, position):
        return self._crosshair("ConvertDeviceToXYZ", *position)

    def convertXYZToRAS(self, xyz):
        return self._crosshair("ConvertXYZToRAS", xyz)

    def convertRASToXYZ(self, ras):
        return self._crosshair("ConvertRASToXYZ", ras)

    def _crosshair(self, method, *arguments):
        result = [0.0, 0.0, 0.0]
        getattr(self.displayableManagerByClassName("vtkMRMLCrosshairDisplayableManager"), method)(*arguments, result)
        return tuple(result)

    def paint_over(self, painter):
        """The letters of the patient's directions at the four edges."""
        to_ras, width, height = self.mrmlSliceNode().GetXYToRAS(), self.width, self.height
        painter.setPen(QtGui.QColor(230, 230, 230))
        places = {(-1, 0): (6, height / 2), (1, 0): (width - 16, height / 2)}
        places |= {(0, 1): (width / 2, 16), (0, -1): (width / 2, height - 6)}
        for (right, up), (x, y) in places.items():
            ras = [right * to_ras.GetElement(i, 0) + up * to_ras.GetElement(i, 1) for i in range(3)]
            axis = max(range(3), key=lambda i: abs(ras[i]))
            painter.drawText(QtCore.QPointF(x, y), ("LR", "PA", "IS")[axis][ras[axis] > 0])


@stand_in
class qMRMLThreeDView(MRMLView):
    def __init__(self, parent=None):
        super().__init__(parent)
        self._renderer.SetGradientBackground(True)
        self._renderer.SetUseDepthPeeling(True)
        self._renderer.SetUseDepthPeelingForVolumes(True)
        style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._start_managers(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, THREE_D, style)
        style.SetInteractor(self._interactor)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self._node = None

    def setMRMLViewNode(self, node):
        self._node = node
        self._group.SetMRMLDisplayableNode(node)

    def mrmlViewNode(self):
        return self._node

    def cameraNode(self):
        return self.displayableManagerByClassName("vtkMRMLCameraDisplayableManager").GetCameraNode()

    def resetFocalPoint(self):
        """Look at the middle of what is visible; the box and the letters around it do not count."""
        shown = self._node.GetBoxVisible(), self._node.GetAxisLabelsVisible()
        self._node.SetBoxVisible(0)
        self._node.SetAxisLabelsVisible(0)
        self._renderer.ResetCamera()
        self._node.SetBoxVisible(shown[0])
        self._node.SetAxisLabelsVisible(shown[1])
        self._node.InvokeEvent(slicer.vtkMRMLViewNode.ResetFocalPointRequestedEvent)
        self._renderer.ResetCameraClippingRange()
        self.scheduleRender()

    def resetCamera(self, rotation=True, translation=True, distance=True):
        self.resetFocalPoint()

    def rotateToViewAxis(self, axis):
        names = ("RIGHT", "LEFT", "POSTERIOR", "ANTERIOR", "INFERIOR", "SUPERIOR")
        self.cameraNode().RotateTo(getattr(slicer.vtkMRMLCameraNode, names[axis].title()))
