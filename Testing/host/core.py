"""The MRML side of Slicer without Qt: one scene, the application logic and the modules' logics."""

import tempfile

import slicer
import vtk

MODULE_LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Data": "vtkSlicerDataModuleLogic",
}


class Core:
    """scene, application_logic, module_logics by name, layout_logic."""

    def __init__(self):
        self.scene = slicer.vtkMRMLScene()
        self.application_logic = slicer.vtkSlicerApplicationLogic()
        self._start_application_logic()
        vtk.vtkObject.GlobalWarningDisplayOff()  # the terminologies' files are not in slicer-core
        self.module_logics = {name: self._module_logic(name, cls) for name, cls in MODULE_LOGICS.items()}
        vtk.vtkObject.GlobalWarningDisplayOn()
        self.module_logics["VolumeRendering"].ChangeVolumeRenderingMethod("vtkMRMLGPURayCastVolumeRenderingDisplayNode")
        self._start_remote_io()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self.layout_logic = slicer.vtkMRMLLayoutLogic()
        self.layout_logic.SetMRMLScene(self.scene)

    def _start_application_logic(self):
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        logic = self.application_logic
        logic.SetMRMLScene(self.scene)
        logic.SetTemporaryPath(tempfile.gettempdir())
        logic.GetColorLogic().SetMRMLScene(self.scene)
        logic.GetColorLogic().AddDefaultColorNodes()
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())
        slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(logic)
        slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(logic)

    def _module_logic(self, name, class_name):
        logic = getattr(slicer, class_name)()
        logic.SetMRMLScene(self.scene)
        logic.SetMRMLApplicationLogic(self.application_logic)
        self.application_logic.SetModuleLogic(name, logic)
        return logic

    def _start_remote_io(self):
        """Without it a scene bundle (.mrb) cannot be read."""
        self._remote_io = slicer.vtkMRMLRemoteIOLogic()
        self._remote_io.SetMRMLScene(self.scene)
        self._remote_io.SetMRMLApplicationLogic(self.application_logic)
        self._remote_io.GetCacheManager().SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="host-cache-"))
        self._data_io = slicer.vtkDataIOManagerLogic()
        self._data_io.SetMRMLScene(self.scene)
        self._data_io.SetMRMLApplicationLogic(self.application_logic)
        self._data_io.SetAndObserveDataIOManager(self._remote_io.GetDataIOManager())
        self._remote_io.AddDataIOToScene()
