"""The Slicer side of the library: nodes to files and tensors where they are seen, results into the scene and its views.

Everything but `convert` works with numpy, VTK and Slicer alone, so that a panel loads it without torch.
"""

import slicer

LOWEST_SLICER = (5, 10)

_app = getattr(slicer, "app", None)  # absent where slicer-core alone is there, without an application
if _app is not None and (_app.majorVersion, _app.minorVersion) < LOWEST_SLICER:
    raise ImportError(
        f"DiffReg needs Slicer 5.10 or later, and this is Slicer {_app.majorVersion}.{_app.minorVersion}: install a "
        "newer Slicer, 5.12 is recommended."
    )
