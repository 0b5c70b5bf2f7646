"""Stands in for slicer.packaging: asks, then runs pip in PythonSlicer."""

import importlib.metadata
import shlex
import subprocess

import slicer.util
from packaging.requirements import Requirement


def load_requirements(path):
    """The requirements of a requirements.txt; comments and options are skipped."""
    with open(path) as file:
        lines = [line.strip() for line in file]
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def pip_check(requirements):
    """Whether every requirement is installed in an acceptable version."""
    return all(_satisfied(requirement) for requirement in _as_requirements(requirements))


def pip_ensure(
    requirements,
    constraints=None,
    skip_packages=None,
    prompt_install=True,
    prompt_restart=True,
    requester=None,
    skip_in_testing=True,
    show_progress=True,
):
    """Install what is missing, after a question; RuntimeError when the answer is no."""
    missing = [requirement for requirement in _as_requirements(requirements) if not _satisfied(requirement)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return
    if prompt_install:
        question = f"{len(missing)} Python package(s) need to be installed. Continue?"
        names = "\n".join(f"- {requirement}" for requirement in missing)
        if not slicer.util.confirmOkCancelDisplay(question, requester or "Python packages", detailedText=names):
            raise RuntimeError("User declined package installation")
    pip_install([str(requirement) for requirement in missing], constraints)


def pip_install(requirements, constraints=None, show_progress=True, requester=None, **options):
    """Run pip install; an error display and CalledProcessError when it fails."""
    arguments = shlex.split(requirements) if isinstance(requirements, str) else list(requirements)
    if constraints is not None:
        arguments += ["-c", str(constraints)]
    try:
        slicer.util.executePythonModule("pip", ["install", *arguments])
    except subprocess.CalledProcessError:
        slicer.util.errorDisplay("Package installation failed.")
        raise


def pip_uninstall(requirements, **options):
    arguments = shlex.split(requirements) if isinstance(requirements, str) else list(requirements)
    slicer.util.executePythonModule("pip", ["uninstall", *arguments, "--yes"])


def _as_requirements(requirements):
    if isinstance(requirements, str):
        requirements = requirements.split()
    if isinstance(requirements, Requirement):
        requirements = [requirements]
    return [r if isinstance(r, Requirement) else Requirement(r) for r in requirements]


def _satisfied(requirement):
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return importlib.metadata.version(requirement.name) in requirement.specifier
    except importlib.metadata.PackageNotFoundError:
        return False
