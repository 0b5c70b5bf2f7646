"""qMRMLNodeComboBox: the nodes of some classes in the scene, to choose from, add, rename and remove."""

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from .dialogs import QInputDialog
from .pythonqt import Manners, stand_in, stored

SCENE_EVENTS = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndImportEvent", "EndBatchProcessEvent")


def _refilled(kind, name, default):
    """A stored property whose change fills the list anew."""
    plain = stored(kind, name, default)

    def write(self, value):
        setattr(self, "_" + name, value)
        self._fill()

    return Property(kind, plain.fget, write)


@stand_in
class qMRMLNodeComboBox(Manners, QtWidgets.QWidget):
    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeActivated = Signal(object)

    noneEnabled = _refilled(bool, "noneEnabled", False)
    addEnabled = _refilled(bool, "addEnabled", True)
    removeEnabled = _refilled(bool, "removeEnabled", True)
    renameEnabled = _refilled(bool, "renameEnabled", False)
    editEnabled = stored(bool, "editEnabled", False)
    showHidden = _refilled(bool, "showHidden", False)
    showChildNodeTypes = _refilled(bool, "showChildNodeTypes", True)
    hideChildNodeTypes = _refilled("QStringList", "hideChildNodeTypes", ())
    noneDisplay = _refilled(str, "noneDisplay", "None")
    nodeTypes = _refilled("QStringList", "nodeTypes", ())
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", False)
    baseName = stored(str, "baseName", "")
    interactionNodeSingletonTag = stored(str, "interactionNodeSingletonTag", "")
    sizeAdjustPolicy = stored(int, "sizeAdjustPolicy", 0)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._current, self._requested, self._filling = None, None, None, False
        self._observed, self._labels, self._attributes = {}, {}, []
        self._box = QtWidgets.QComboBox(self)
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.currentIndexChanged.connect(self._picked)
        self._box.activated.connect(self._activated)
        self.destroyed.connect(lambda *_, observed=self._observed: _forget(observed))

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        """Follow `scene`. The node asked for earlier becomes current; else the first one, unless there may be none."""
        if scene is self._scene:
            return
        _forget(self._observed)
        self._scene = scene
        for event in SCENE_EVENTS if scene is not None else ():
            tag = scene.AddObserver(getattr(scene, event), self._scene_changed)
            self._observed[event] = (scene, tag)
        wanted, self._requested = self._requested, None
        if wanted is None and not self.noneEnabled and scene is not None:
            wanted = next((node.GetID() for node in self._nodes()), None)
        self._fill(wanted or None)

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node):
        self._choose(node.GetID() if node is not None and node.GetID() else "")

    def _choose(self, node_id):
        if self._scene is None:
            self._requested = node_id
            return
        self._fill(node_id if node_id in [node.GetID() for node in self._nodes()] else None)

    currentNodeID = Property(str, lambda self: self._current or "", _choose)

    def nodeCount(self):
        return len(self._nodes())

    def nodeFromIndex(self, index):
        return self._nodes()[index]

    def addAttribute(self, node_type, name, value=None):
        """List only nodes of `node_type` that have the attribute (with that value)."""
        self._attributes.append((node_type, name, value))
        self._fill()

    def setNodeTypeLabel(self, label, node_type):
        self._labels[node_type] = label
        self._fill()

    def addNode(self, node_type=None):
        """Create a node, as the entry "Create new" does; it becomes current."""
        node_type = node_type or self.nodeTypes[0]
        name = self._scene.GenerateUniqueName(self.baseName or self._label(node_type))
        node = self._scene.AddNewNodeByClass(node_type, name)
        for kind, attribute, value in self._attributes:
            if kind == node_type:
                node.SetAttribute(attribute, value or "")
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        self._scene.RemoveNode(self.currentNode())

    def renameCurrentNode(self):
        node = self.currentNode()
        name = QInputDialog.getText(self, "Rename " + self._label(node.GetClassName()), "New name:") if node else ""
        if name:
            node.SetName(name)
            self.currentNodeRenamed.emit(name)

    def _label(self, node_type):
        return self._labels.get(node_type) or self._scene.GetTypeDisplayNameByClassName(node_type) or "node"

    def _nodes(self):
        """The listed nodes, in the order of the scene."""
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._lists(node)]

    def _lists(self, node):
        kind = next((t for t in self.nodeTypes if node.IsA(t)), None)
        if kind is None or (node.GetHideFromEditors() and not self.showHidden):
            return False
        if node.GetClassName() not in self.nodeTypes:
            if not self.showChildNodeTypes or node.GetClassName() in self.hideChildNodeTypes:
                return False
        demanded = [(name, value) for t, name, value in self._attributes if t == kind]
        found = [(node.GetAttribute(name), value) for name, value in demanded]
        return all(given is not None and value in (None, given) for given, value in found)

    def _fill(self, current=""):
        """List the nodes anew and make `current` (an ID, or None) the current one; by default it stays."""
        if "_box" not in self.__dict__ or self._filling:
            return
        nodes = self._nodes()
        ids = [node.GetID() for node in nodes]
        current = self._current if current == "" else current
        if current is not None and current not in ids:  # removed: the last one takes its place, or None
            current = ids[-1] if ids and not self.noneEnabled else None
        self._observe(nodes, ids)
        self._filling = True
        self._list(nodes)
        self._box.setCurrentIndex(self._box.findData(current) if current else (0 if self.noneEnabled else -1))
        self._filling = False
        self._select(current)

    def _observe(self, nodes, ids):
        for gone in [key for key in self._observed if key not in ids and key not in SCENE_EVENTS]:
            node, tag = self._observed.pop(gone)
            node.RemoveObserver(tag)
        for node in nodes:
            if node.GetID() not in self._observed:
                self._observed[node.GetID()] = (node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._renamed))

    def _list(self, nodes):
        self._box.clear()
        labels = [self._label(t) for t in self.nodeTypes] if self._scene is not None else []
        self._box.setPlaceholderText("Select a " + " or ".join(labels))
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay, "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
        actions = [(f"Create new {label}", f"add {t}") for label, t in zip(labels, self.nodeTypes) if self.addEnabled]
        actions += [("Rename current node...", "rename")] * (self.renameEnabled and bool(nodes))
        actions += [("Delete current node", "remove")] * (self.removeEnabled and bool(nodes))
        if actions and self._box.count():
            self._box.insertSeparator(self._box.count())
        for text, action in actions:
            self._box.addItem(text, "*" + action)

    def _select(self, node_id):
        if node_id == self._current:
            return
        self._current = node_id
        node = self.currentNode()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(node_id or "")

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _scene_changed(self, scene, event, node=None):
        if scene.IsBatchProcessing():
            return
        self._fill()
        if event == "NodeAddedEvent" and isinstance(node, slicer.vtkMRMLNode) and self._lists(node):
            self.nodeAdded.emit(node)
            if self.selectNodeUponCreation:
                self.setCurrentNode(node)

    def _renamed(self, node, event):
        index = self._box.findData(node.GetID())
        if index >= 0 and self._box.itemText(index) != node.GetName():
            self._box.setItemText(index, node.GetName())

    def _picked(self, index):
        data = self._box.itemData(index) or ""
        if not self._filling and not data.startswith("*"):
            self._select(data or None)

    def _activated(self, index):
        data = self._box.itemData(index) or ""
        if not data.startswith("*"):
            self.nodeActivated.emit(self.currentNode())
            return
        self._fill()  # an action is never the current entry
        action, _, node_type = data[1:].partition(" ")
        if action == "add":
            self.addNode(node_type)
        elif action == "rename":
            self.renameCurrentNode()
        else:
            self.removeCurrentNode()


def _forget(observed):
    for subject, tag in observed.values():
        subject.RemoveObserver(tag)
    observed.clear()
