"""The Python packages that a worker needs: asked for once, when Apply is pressed, never before."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError

TORCH = "torch>=2.6"
REQUIREMENTS = (
    "numba>=0.61",
    "scipy>=1.12",
    "scikit-image>=0.22",
    "fpsample>=1.0",
    "matplotlib>=3.8",
    "safetensors>=0.4",
    "cma>=3.3",
    "roma>=1.5",
    "nibabel>=5",
    "connected-components-3d>=3.12",
    "pillow>=10",
)
KERNELS = "numba-cuda[cu{major}]>=0.24"
"""What compiles kernels for a graphics card, with the parts of CUDA it needs; without it, torch does their work."""
MODULES = {"scikit-image": "skimage", "connected-components-3d": "cc3d", "numba-cuda": "numba_cuda", "pillow": "PIL"}
"""Modules that are not called as their packages."""
SLICERS_OWN = ("numpy", "SimpleITK", "vtk", "pydicom", "torch")  # an installation must not replace these


def missing() -> list[str]:
    """The requirements that are not there, or there in an older version; looked up without importing anything."""
    return [r for r in (TORCH, *REQUIREMENTS) if not _satisfied(r)]


def _helpful() -> list[str]:
    """What is not needed, but makes a PyTorch that was built for CUDA quicker; installed along with what is missing."""
    try:
        built = re.search(r"\+cu(\d\d)", importlib.metadata.version("torch"))
    except importlib.metadata.PackageNotFoundError:
        return []
    wanted = KERNELS.format(major=built[1]) if built else ""
    return [wanted] if wanted and not _satisfied(wanted) else []


def _satisfied(requirement: str) -> bool:
    name, lowest = name_of(requirement), requirement.split(">=")[1]
    if importlib.util.find_spec(module_of(requirement)) is None:
        return False
    try:
        return _numbers(importlib.metadata.version(name)) >= _numbers(lowest)
    except importlib.metadata.PackageNotFoundError:
        return True  # built into this Python, without a word on its version


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version: (2, 6, 0) of 2.6.0+cu124."""
    return tuple(map(int, re.findall(r"\d+", re.match(r"[\d.]*", version)[0])))


def module_of(requirement: str) -> str:
    """The module that a requirement brings."""
    name = name_of(requirement)
    return MODULES.get(name, name)


def name_of(requirement: str) -> str:
    """The package of a requirement, without its version and extras."""
    return re.split(r"\[|>=", requirement)[0]


def ensure(requester: str) -> None:
    """Installs what is missing after one question; raises `RegistrationError` where the answer is no or it fails."""
    absent = missing()
    if not absent:
        return
    names = ", ".join(map(name_of, absent))
    question = _("{requester} needs Python packages that are not installed yet, or too old: {names}. Install them now?")
    if not slicer.util.confirmOkCancelDisplay(question.format(requester=requester, names=names)):
        raise RegistrationError(
            _("Python packages are missing ({names}): press Apply again to install them.").format(names=names)
        )
    if TORCH in absent:
        _install_torch()
    for some in ([r for r in absent if r != TORCH], _helpful()):
        try:
            if some:
                _install(some, requester)
        except Exception:  # whatever pip, or Slicer on its way to pip, has to complain of
            logging.exception("The packages %s could not be installed", ", ".join(map(name_of, some)))
    importlib.invalidate_caches()
    if still := missing():
        sentence = _("{names} could not be installed: see the application log, and press Apply to try again.")
        raise RegistrationError(sentence.format(names=", ".join(map(name_of, still))))


def _install_torch() -> None:
    """Through the PyTorch extension, which picks the build that fits the graphics card."""
    if importlib.util.find_spec("PyTorchUtils") is None:
        raise RegistrationError(
            _("PyTorch is missing: install the extension PyTorch with the Extensions Manager and restart Slicer.")
        )
    version = TORCH.removeprefix("torch")
    try:
        logic = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
        installed = logic.installTorch(askConfirmation=False, torchVersionRequirement=version)
    except Exception:  # pip's failure arrives as CalledProcessError, a version that does not fit as another
        logging.exception("PyTorch could not be installed")
        installed = None
    if installed is None:
        sentence = _(
            "PyTorch {version} could not be installed: see the application log, and install it in the module PyTorch "
            "Utils."
        )
        raise RegistrationError(sentence.format(version=version))


def _install(requirements: list[str], requester: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(_pins()), encoding="utf-8")
        try:
            packaging = importlib.import_module("slicer.packaging")
        except ImportError:  # before Slicer 5.11
            slicer.util.pip_install([*requirements, "-c", os.fspath(constraints)])
            return
        packaging.pip_ensure(requirements, constraints=constraints, prompt_install=False, requester=requester)


def _pins() -> list[str]:
    pins = []
    for name in SLICERS_OWN:
        try:
            pins.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return pins
