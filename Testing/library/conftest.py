"""Fixtures of the library's tests: the shared data, where they are at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the benchmark data: DIFFREG_DATA, or `shared/data` beside the repository."""
    folder = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "index.json").is_file():
        pytest.skip("the shared data are not at hand: set DIFFREG_DATA to their folder")
    return folder


@pytest.fixture
def one_thread():
    """Torch and the kernels on one thread: small networks wait for a second one, on a busy machine for minutes."""
    from DiffRegLib.ops.threads import one_thread

    with one_thread():
        yield
