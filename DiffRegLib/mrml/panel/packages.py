"""The Python packages that a worker needs: asked for once, when Apply is pressed, never before."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import subprocess
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
)
MODULES = {"scikit-image": "skimage"}  # where the module is not called as its package
SLICERS_OWN = ("numpy", "SimpleITK", "vtk", "pydicom", "torch")  # an installation must not replace these


def missing() -> list[str]:
    """The requirements that are not there; looked up without importing anything."""
    return [r for r in (TORCH, *REQUIREMENTS) if importlib.util.find_spec(module_of(r)) is None]


def module_of(requirement: str) -> str:
    """The module that a requirement brings."""
    name = requirement.split(">=")[0]
    return MODULES.get(name, name)


def ensure(requester: str) -> None:
    """Installs what is missing after one question; raises `RegistrationError` where the answer is no or it fails."""
    absent = missing()
    if not absent:
        return
    names = ", ".join(r.split(">=")[0] for r in absent)
    question = _("{requester} needs Python packages that are not installed yet: {names}. Install them now?")
    if not slicer.util.confirmOkCancelDisplay(question.format(requester=requester, names=names)):
        raise RegistrationError(
            _("Python packages are missing ({names}): press Apply again to install them.").format(names=names)
        )
    if TORCH in absent:
        _install_torch()
    rest = [r for r in absent if r != TORCH]
    try:
        if rest:
            _install(rest, requester)
    except (RuntimeError, subprocess.CalledProcessError):
        logging.exception("pip failed")
    importlib.invalidate_caches()
    if still := missing():
        sentence = _("{names} could not be installed: see the application log, and press Apply to try again.")
        raise RegistrationError(sentence.format(names=", ".join(still)))


def _install_torch() -> None:
    """Through the PyTorch extension, which picks the build that fits the graphics card."""
    if importlib.util.find_spec("PyTorchUtils") is None:
        raise RegistrationError(
            _("PyTorch is missing: install the extension PyTorch with the Extensions Manager and restart Slicer.")
        )
    logic = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
    if logic.installTorch(askConfirmation=False, torchVersionRequirement=TORCH.removeprefix("torch")) is None:
        raise RegistrationError(_("PyTorch could not be installed: install it in the module PyTorch Utils."))


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
