"""Fixtures of the library's tests: the shared data, where they are at hand."""

import io
import os
import signal
import threading
from pathlib import Path

import pytest

os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")  # as in a worker: read when torch first multiplies

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its jobs in the background ignore it

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


@pytest.fixture
def in_process(monkeypatch, tmp_path_factory):
    """Jobs of the command line run in the process of the test, without the seconds that a worker takes to start."""
    from DiffRegLib.jobs import JOB, PROGRESS, RESULT, make_job, parse
    from DiffRegLib.jobs.progress import Reporter
    from DiffRegLib.jobs.worker import run_job

    def run_to(out, method, inputs, options, overwrite):
        folder = tmp_path_factory.mktemp("job")
        make_job(folder, method, inputs, options)
        output = io.StringIO()
        code = run_job(folder, Reporter(folder / PROGRESS, output))
        if code == 2:
            assert sorted(p.name for p in folder.iterdir()) == [JOB, PROGRESS]
            raise parse(output.getvalue().splitlines()[-1]).fault
        assert code == 0, output.getvalue()
        return Path((folder / RESULT).replace(out)), False

    monkeypatch.setattr("DiffRegLib.cli.execute.run_to", run_to)
