"""The Slicer side of the library: nodes to files and tensors where they are seen, results into the scene and its views.

Everything but `convert` works with numpy, VTK and Slicer alone, so that a panel loads it without torch.
"""
