"""The test host: scripted modules of 3D Slicer run here without Slicer.

Scene, logics, storage nodes, displayable managers and interactor styles are Slicer's own (slicer-core); Qt-side Slicer
is stood in for with PySide6. `python -m Testing.host MODULE [SCENE]` opens it; tests take the fixture `host`.
"""
