"""Stands in for the module Sample Data of several versions of Slicer: what can be registered, and nothing else."""

import importlib.machinery
import types
from dataclasses import dataclass


@dataclass
class Source:
    """A sample as Slicer's logic takes it: these keywords and no others."""

    category: str = "Custom"
    sampleName: str | None = None
    uris: object = None
    fileNames: object = None
    nodeNames: object = None
    customDownloader: object = None
    thumbnailFileName: str | None = None
    loadFileTypes: object = None
    loadFiles: object = None
    loadFileProperties: object = None
    checksums: object = None
    loadFileType: object = None

    def __post_init__(self):
        lists = [[v] if isinstance(v, str) or v is None else v for v in (self.uris, self.fileNames, self.nodeNames)]
        if len({len(values) for values in lists}) > 1:
            raise ValueError("uris, fileNames and nodeNames differ in length")


def module(version):
    """The module of Slicer "5.10" or "5.12"; its list `registered` holds the sources."""
    made = types.ModuleType("SampleData")
    made.__spec__ = importlib.machinery.ModuleSpec("SampleData", None)
    made.registered, made.categories = [], {}
    members = {
        "registerCustomSampleDataSource": staticmethod(lambda *a, **k: made.registered.append(Source(*a, **k))),
    }
    if version in LOGICS[1:]:
        members["registerCustomSampleDataCategory"] = staticmethod(
            lambda category, title: made.categories.update({category: title})
        )
    made.SampleDataLogic = type("SampleDataLogic", (), members)
    return made


LOGICS = ("5.10", "5.12")
