"""python -m Testing.install_tree: does the extension hold every file that it uses, built or dropped into Slicer?

CMake installs the extension into an empty folder with Slicer's macros stood in for (they only copy and install what
they are told), and the repository's files are copied as a person would unpack them. In both, every file that an import
or a `resourcePath` names has to be there, the worker has to start, and the module has to find the library beside it.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from Testing.modules import MODULES, ROOT

MODULES_FOLDER = "lib/Slicer/qt-scripted-modules"
SLICER_STAND_IN = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/Empty.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/Empty.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR FOLDER)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR FOLDER)
set(BUILD_TESTING ON)
""".replace("FOLDER", MODULES_FOLDER)
USE_SLICER = """
macro(ctkMacroCompilePythonScript)
  cmake_parse_arguments(MY "NO_INSTALL_SUBDIR" "TARGET_NAME;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    get_filename_component(folder ${file} DIRECTORY)
    file(COPY ${CMAKE_CURRENT_SOURCE_DIR}/${file} DESTINATION ${MY_DESTINATION_DIR}/${folder})
  endforeach()
  if(MY_NO_INSTALL_SUBDIR)
    install(DIRECTORY ${MY_DESTINATION_DIR}/ DESTINATION ${MY_INSTALL_DIR})
  else()
    install(DIRECTORY ${MY_DESTINATION_DIR} DESTINATION ${MY_INSTALL_DIR})
  endif()
endmacro()
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  ctkMacroCompilePythonScript(
    TARGET_NAME ${MODULE_NAME}
    SCRIPTS "${MODULE_SCRIPTS}"
    RESOURCES "${MODULE_RESOURCES}"
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    NO_INSTALL_SUBDIR
    )
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(TEST "" "SCRIPT" "" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${TEST_SCRIPT})
    message(FATAL_ERROR "There is no test ${TEST_SCRIPT}")
  endif()
endmacro()
"""
LOADED = """
import sys
from pathlib import Path
root, testing, *modules = sys.argv[1:]
sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(root)]
sys.meta_path = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", type(f).__module__).lower()]
sys.path.insert(0, testing)
from Testing.host.host import Host
host, before = Host(), list(sys.path)
for module in modules:
    host.open_module(module)
    import DiffRegLib
    print(DiffRegLib.__file__)
    host.reset()
    sys.path[:] = before  # and nothing of the tree is left: each module has to find the library by itself
    tree = str(Path(DiffRegLib.__file__).parents[1])
    for name in [n for n, m in sys.modules.items() if (getattr(m, "__file__", None) or "").startswith(tree)]:
        del sys.modules[name]
"""


def install(folder: Path, version: str = "5.12.0") -> Path:
    """Configures and installs the extension for a version of Slicer; returns the folder of its scripted modules."""
    stand_in, build, tree = (folder / name for name in ("slicer", "build", "tree"))
    stand_in.mkdir()
    told = f"set(PACKAGE_VERSION {version})\nset(PACKAGE_VERSION_COMPATIBLE TRUE)\n"
    files = {"SlicerConfig": SLICER_STAND_IN, "SlicerConfigVersion": told, "UseSlicer": USE_SLICER, "Empty": ""}
    for name, text in files.items():
        (stand_in / f"{name}.cmake").write_text(text)
    configure = ["cmake", "-S", os.fspath(ROOT), "-B", os.fspath(build), f"-DSlicer_DIR={stand_in}", "-Wno-dev"]
    _run([*configure, "-DCMAKE_INSTALL_PREFIX=" + os.fspath(tree)])
    _run(["cmake", "--install", os.fspath(build)])
    return tree / MODULES_FOLDER


def drop(folder: Path) -> Path:
    """Copies what the repository tracks, and what is about to be added to it; returns the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "DiffReg", "DiffRegLib"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = folder / "DiffReg-main"
    for name in listed.stdout.split("\n"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


def missing_files(installed: Path) -> list[str]:
    """What the installed files import or open and do not find, and what the repository has and the tree has not."""
    return [*_not_installed(installed), *_not_found(installed)]


def _not_installed(installed: Path) -> Iterator[str]:
    for source in [path for kind in ("*.py", "*.ui") for path in (ROOT / "DiffRegLib").rglob(kind)]:
        if not (installed / source.relative_to(ROOT)).is_file():
            yield f"{source.relative_to(ROOT)} is not installed"
    for module in MODULES.values():
        folder = module.parent
        for source in [*folder.rglob("*.py"), *folder.joinpath("Resources").rglob("*.*")]:
            inside = source.relative_to(folder)
            if inside.parts[0] != "Testing" and not (installed / inside).is_file():
                yield f"{source.relative_to(ROOT)} is not installed"


def _not_found(installed: Path) -> Iterator[str]:
    ours = {path.stem for path in installed.iterdir() if path.suffix in ("", ".py")}
    for file in installed.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for name in _imports(ast.parse(text)):
            path = installed.joinpath(*name.split("."))
            if name.split(".")[0] in ours and not (path.with_suffix(".py").is_file() or path.is_dir()):
                yield f"{file.relative_to(installed)} imports {name}, which is not installed"
        for name in re.findall(r'resourcePath\("([^"]+)"\)', text):
            if not (installed / "Resources" / name).exists():
                yield f"{file.relative_to(installed)} opens Resources/{name}, which is not installed"


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def worker_starts(library: Path) -> bool:
    """Whether the worker of that copy of the library answers as it should: a folder that is no job is bad input."""
    environment = {**os.environ, "PYTHONPATH": os.fspath(library)}
    code = "import sys, DiffRegLib.jobs.__main__ as m; print(m.__file__); sys.exit(m.main(['run', '/nowhere']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=library)
    return done.returncode == 2 and os.fspath(library) in done.stdout


def loaded_libraries(modules: list[Path]) -> list[str]:
    """The file of the `DiffRegLib` that each panel of a copy uses in the test host; what went wrong on failure."""
    host = tempfile.mkdtemp()
    try:
        shutil.copytree(ROOT / "Testing", Path(host) / "Testing", ignore=shutil.ignore_patterns("__pycache__"))
        command = [sys.executable, "-c", LOADED, *map(os.fspath, (ROOT, host, *modules))]
        done = subprocess.run(command, capture_output=True, text=True, cwd=host)
        return [*done.stdout.splitlines(), *([done.stderr] if done.returncode else [])]
    finally:
        shutil.rmtree(host, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def main() -> int:
    """Prints what is wrong; the exit code is the number of faults."""
    argparse.ArgumentParser(prog="python -m Testing.install_tree", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        installed, dropped = install(Path(folder)), drop(Path(folder))
        faults = missing_files(installed)
        for tree, path in ((installed, ""), (dropped, "DiffReg/{name}/")):
            if not worker_starts(tree):
                faults.append(f"The worker does not start in {tree}")
            files = [tree / path.format(name=name) / f"{name}.py" for name in MODULES]
            for file, found in itertools.zip_longest(files, loaded_libraries(files)):
                if found != os.fspath(tree / "DiffRegLib" / "__init__.py"):
                    faults.append(f"{file} uses the library {found}")
    print("\n".join(faults) or f"{len(MODULES)} modules find all that they use, installed and dropped in.")
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
