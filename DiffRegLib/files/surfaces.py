"""Surface and point files of VTK (.vtk .vtp .ply .stl) in RAS mm, with the frame stated as 3D Slicer states it.

Slicer writes SPACE=LPS or SPACE=RAS into the header (.vtk, .stl), a comment (.ply) or the field data (.vtp), and
takes a file that says nothing for LPS (vtkMRMLModelStorageNode since Slicer 4.11). So do these functions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import ply
from DiffRegLib.files.kinds import SUFFIXES
from DiffRegLib.files.text import decoded

HEADER = "DiffReg. SPACE=LPS"
_ONE_AT_A_TIME = threading.RLock()
"""VTK has one window for what it complains of."""
LONGEST_HEAD = 1 << 14
"""Bytes in which a file says what it is."""


def read_polydata(path: str | Path) -> Any:
    """The vtkPolyData of a file, its points in RAS mm.

    Raises `RegistrationError` for a missing, truncated or empty file and for one that holds no points.
    """
    path = Path(path)
    if not path.is_file():
        raise RegistrationError(f"{path} does not exist: check the path.")
    complaint = f"{path} cannot be read as a surface: it is truncated, empty or not of its type."
    if _suffix(path) == ".ply" and not ply.is_complete(path):
        raise RegistrationError(complaint)
    with _listening() as errors:
        reader = _reader(path)
        reader.SetFileName(str(path))
        reader.Update()
        polydata = reader.GetOutput()
    if errors() or polydata is None or polydata.GetNumberOfPoints() == 0:
        raise RegistrationError(complaint)
    return polydata if _space(polydata, path) == "RAS" else _flipped(polydata)


def write_polydata(polydata: Any, path: str | Path) -> None:
    """Writes a vtkPolyData in RAS mm as LPS, and says so in the file; the suffix chooses the format."""
    import vtk

    path = Path(path)
    suffix = _suffix(path)
    data = _flipped(polydata)
    if suffix == ".vtp":
        space = vtk.vtkStringArray()
        space.SetName("SPACE")
        space.InsertNextValue("LPS")
        data.GetFieldData().AddArray(space)
        writer = vtk.vtkXMLPolyDataWriter()
    elif suffix == ".ply":
        writer = vtk.vtkPLYWriter()
        writer.AddComment("SPACE=LPS")
    elif suffix == ".stl":
        writer = vtk.vtkSTLWriter()
        writer.SetHeader(HEADER)
        writer.SetFileTypeToBinary()
    else:
        writer = vtk.vtkPolyDataWriter()
        writer.SetFileVersion(42)
        writer.SetHeader(HEADER)
        writer.SetFileTypeToBinary()
    writer.SetInputData(data)
    writer.SetFileName(str(path))
    with _listening() as errors:
        written = writer.Write()
    if not written or errors() or not path.is_file():
        raise RegistrationError(f"{path} cannot be written: choose a folder that exists and is writable.")


@contextmanager
def _listening() -> Iterator[Callable[[], str]]:
    """VTK writes its complaints where the yielded function finds them, and not on the screen."""
    import vtk

    with _ONE_AT_A_TIME:
        before, window = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
        verbosity = vtk.vtkLogger.GetCurrentVerbosityCutoff()
        vtk.vtkOutputWindow.SetInstance(window)
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        try:
            yield window.GetOutput
        finally:
            vtk.vtkLogger.SetStderrVerbosity(verbosity)
            vtk.vtkOutputWindow.SetInstance(before)


def _flipped(polydata: Any) -> Any:
    """LPS to RAS or back."""
    import vtk

    turn = vtk.vtkTransform()
    turn.Scale(-1, -1, 1)
    move = vtk.vtkTransformPolyDataFilter()
    move.SetTransform(turn)
    move.SetInputData(polydata)
    move.Update()
    result = vtk.vtkPolyData()
    result.ShallowCopy(move.GetOutput())
    return result


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES["surface"]:
        raise RegistrationError(f"{path} is not a surface file: use one of {', '.join(SUFFIXES['surface'])}.")
    return suffix


def _reader(path: Path) -> Any:
    import vtk

    suffix = _suffix(path)
    if suffix == ".vtk":
        reader = vtk.vtkPolyDataReader()
        reader.SetFileName(str(path))
        if not reader.IsFilePolyData():
            raise RegistrationError(f"{path} holds no polygonal surface: save it as vtkPolyData.")
        reader.ReadAllScalarsOn()
        reader.ReadAllFieldsOn()
        return reader
    readers = {".vtp": vtk.vtkXMLPolyDataReader, ".ply": vtk.vtkPLYReader, ".stl": vtk.vtkSTLReader}
    return readers[suffix]()


def _space(polydata: Any, path: Path) -> str:
    """The frame that the file states, "LPS" where it says nothing."""
    stated = _stated_in_field_data(polydata) if _suffix(path) == ".vtp" else _head(path)
    return "RAS" if "SPACE=RAS" in stated else "LPS"


def _stated_in_field_data(polydata: Any) -> str:
    array = polydata.GetFieldData().GetAbstractArray("SPACE")
    stated = array.GetValue(0) if array is not None and array.GetNumberOfValues() else ""
    polydata.GetFieldData().RemoveArray("SPACE")
    return f"SPACE={stated}"


def _head(path: Path) -> str:
    """The free text of a file: header of an STL, title of a VTK file, comments of a PLY, in whatever encoding."""
    with open(path, "rb") as file:
        content = file.read(LONGEST_HEAD)
    if _suffix(path) == ".ply":
        lines = content.partition(b"end_header")[0].splitlines()
        return "\n".join(decoded(line) for line in lines if line.startswith((b"comment", b"obj_info")))
    if _suffix(path) == ".vtk":
        return decoded(b"".join(content.splitlines()[1:2]))
    return decoded(content.splitlines()[0] if content.startswith(b"solid ") else content[:80])
