"""slicer.app.coreIOManager(): reading and writing by Slicer's module logics and storage nodes."""

from pathlib import Path

import slicer

FILE_TYPES = {
    "SceneFile": (".mrb", ".mrml"),
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr"),
    "MarkupsFile": (".mrk.json", ".fcsv"),
    "VolumeFile": (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"),
    "TransformFile": (".h5", ".tfm", ".txt", ".mat"),
    "ModelFile": (".vtk", ".vtp", ".ply", ".stl", ".obj"),
    "TableFile": (".tsv", ".csv"),
}
STORED = {
    "TableFile": ("vtkMRMLTableNode", "vtkMRMLTableStorageNode"),
    "TextFile": ("vtkMRMLTextNode", "vtkMRMLTextStorageNode"),
}
VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}


class CoreIOManager:
    def __init__(self, core):
        self._core = core

    def fileType(self, path):
        suffix = {s: kind for kind, suffixes in FILE_TYPES.items() for s in suffixes}
        known = [s for s in suffix if str(path).lower().endswith(s)]
        return suffix[max(known, key=len)] if known else "NoFile"

    def loadNodes(self, file_type, properties, collection=None, messages=None):
        """Read properties["fileName"] into the scene; true when that worked."""
        path = str(properties["fileName"])
        if not Path(path).is_file():
            return False
        if file_type == "SceneFile":
            return self._load_scene(path, properties)
        node = self._load(file_type, path, properties, messages)
        if node is None:
            return False
        if properties.get("name"):
            node.SetName(properties["name"])
        if collection is not None:
            collection.AddItem(node)
        return True

    def loadScene(self, path, properties=None):
        return self.loadNodes("SceneFile", {"fileName": path, **(properties or {})})

    def saveNodes(self, file_type, properties, *_):
        if file_type == "SceneFile":
            return self.saveScene(properties["fileName"])
        node = self._core.scene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(str(properties["fileName"]))
        storage = node.GetStorageNode()
        storage.SetFileName(str(properties["fileName"]))
        if "useCompression" in properties:
            storage.SetUseCompression(bool(properties["useCompression"]))
        return bool(storage.WriteData(node))

    def saveScene(self, path, *_):
        path, scene = str(path), self._core.scene
        if path.endswith(".mrb"):
            return bool(scene.WriteToMRB(path))
        if path.endswith(".mrml"):
            scene.SetURL(path)
            return bool(scene.Commit(path))
        Path(path).mkdir(parents=True, exist_ok=True)
        return bool(self._core.application_logic.SaveSceneToSlicerDataBundleDirectory(path, None))

    def exportNodes(self, ids, paths, properties, harden, messages=None):
        """Write copies; the nodes keep the files they have."""
        return all([self._export(self._core.scene.GetNodeByID(i), str(p), harden) for i, p in zip(ids, paths)])

    def fileWriterFileType(self, node):
        return node.GetNodeTagName()

    def fileWriterExtensions(self, node):
        types = node.CreateDefaultStorageNode().GetSupportedWriteFileTypes()
        return [types.GetValue(i) for i in range(types.GetNumberOfValues())]

    def extractKnownExtension(self, path, node):
        return node.CreateDefaultStorageNode().GetSupportedFileExtension(str(path), False, True)

    def _load(self, file_type, path, properties, messages):
        logics, scene = self._core.module_logics, self._core.scene
        if file_type == "VolumeFile":
            return self._load_volume(path, properties)
        if file_type == "TransformFile":
            return logics["Transforms"].AddTransform(path, scene)
        if file_type == "MarkupsFile":
            node_id = logics["Markups"].LoadMarkups(path, _name(path))
            return scene.GetNodeByID(node_id) if node_id else None
        if file_type == "SegmentationFile":
            return logics["Segmentations"].LoadSegmentationFromFile(path, True, _name(path))
        if file_type == "ModelFile":
            return logics["Models"].AddModel(path)
        return self._load_stored(*STORED[file_type], path) if file_type in STORED else None

    def _load_volume(self, path, properties):
        options = sum(bit for name, bit in VOLUME_OPTIONS.items() if properties.get(name))
        node = self._core.module_logics["Volumes"].AddArchetypeVolume(path, _name(path), options)
        if node is not None and properties.get("show", True):
            label = node.IsA("vtkMRMLLabelMapVolumeNode")
            selection = self._core.application_logic.GetSelectionNode()
            (selection.SetActiveLabelVolumeID if label else selection.SetActiveVolumeID)(node.GetID())
            self._core.application_logic.PropagateVolumeSelection()
        return node

    def _load_stored(self, node_class, storage_class, path):
        node = self._core.scene.AddNewNodeByClass(node_class, _name(path))
        storage = self._core.scene.AddNewNodeByClass(storage_class)
        storage.SetFileName(path)
        node.SetAndObserveStorageNodeID(storage.GetID())
        if storage.ReadData(node):
            return node
        self._core.scene.RemoveNode(storage)
        self._core.scene.RemoveNode(node)
        return None

    def _load_scene(self, path, properties):
        scene, clear = self._core.scene, properties.get("clear", False)
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def _export(self, node, path, harden):
        copy = slicer.mrmlScene.AddNewNodeByClass(node.GetClassName())
        copy.Copy(node)
        if harden:
            copy.SetAndObserveTransformNodeID(node.GetTransformNodeID())
            copy.HardenTransform()
        storage = copy.CreateDefaultStorageNode()
        storage.SetFileName(path)
        written = storage.WriteData(copy)
        slicer.mrmlScene.RemoveNode(copy)
        return bool(written)


def _name(path):
    return Path(path).name.split(".")[0]
