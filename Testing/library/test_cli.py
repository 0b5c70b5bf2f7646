"""The command line as its user meets it: a process, its output, its exit code, and what it leaves on the disk."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from DiffRegLib.jobs import make_job, worker_environment
from Testing.library.patience import DEADLOCK, allowed

QUICK = ("--no-search", "--fine-iterations", "5", "--coarse-iterations", "5", "--voxel", "4", "--control-spacing", "20")
ENVIRONMENT = worker_environment()


def command(*arguments):
    return [sys.executable, "-m", "DiffRegLib", *map(str, arguments)]


def diffreg(*arguments, cwd=None):
    return subprocess.run(
        command(*arguments),
        env=ENVIRONMENT,
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEADLOCK,
    )


def assert_refused(done, *words):
    """Exit code 2 and one sentence that holds all words."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].endswith("."), done.stderr
    for word in words:
        assert word in lines[0]


def bent_cloud(count=400, seed=0):
    """Points (N, 3) mm on a bent shell of the size of a lung, without symmetry."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * (40, 55, 80)
    points[:, 0] += 0.004 * points[:, 2] ** 2
    return points + (12.3, -45.6, 78.9)


def write_csv(path, points):
    np.savetxt(path, points, delimiter=",", header="x,y,z", comments="", fmt="%.4f")
    return path


@pytest.fixture
def pair(tmp_path):
    """A cloud and the same cloud elsewhere, in a folder with a space and letters beyond ASCII."""
    folder = tmp_path / "Größe 患者"
    folder.mkdir()
    fixed = bent_cloud()
    shift = np.array([9.0, -6.0, 4.0])
    return write_csv(folder / "fixed.csv", fixed), write_csv(folder / "moving.csv", fixed + shift)


def test_help_is_quick_and_imports_nothing_heavy():
    heavy = ("torch", "numpy", "numba", "scipy", "SimpleITK", "vtk", "rich")
    verbs = (["splat"], ["pose"], ["drr"], ["train"], ["train", "projective"])
    for arguments in (["--help"], *([*verb, "--help"] for verb in verbs)):
        code = (
            "import sys\nfrom DiffRegLib.cli import main\n"
            f"try:\n    main({arguments})\nexcept SystemExit: pass\n"
            f"sys.exit(', '.join(m for m in {heavy} if m in sys.modules) or 0)"
        )
        begin = processor_seconds()
        done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
        seconds = processor_seconds() - begin
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("usage: diffreg")
        assert seconds < 0.5


def processor_seconds():
    """Of the processes that have ended, so that a busy machine does not count; elsewhere than on Unix, by the clock."""
    if os.name == "nt":
        return time.perf_counter()
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_of_splat_gives_units_and_defaults_in_groups():
    text = diffreg("splat", "--help").stdout
    for words in (
        "[mm]",
        "(default:",
        "--fixed-landmarks",
        "--initial",
        "--seed",
        "--preset",
        "options of splatting:",
        "masks:",
    ):
        assert words in text


def test_splat_writes_the_files_of_a_result(pair, tmp_path):
    fixed, moving = pair
    out = fixed.parent / "neu" / "out 1"
    done = diffreg("splat", fixed, moving, "-o", out, "--fixed-landmarks", fixed, "--moving-landmarks", moving, *QUICK)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} == {
        "transform.h5",
        "inverse.h5",
        "warped_moving.csv",
        "warped_fixed.csv",
        "metrics.json",
        "job.json",
        "overview.png",
        "support.nii.gz",
    }
    assert [p.name for p in out.parent.iterdir()] == ["out 1"]
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["landmarks"]["before_mm"]["mean"] == pytest.approx(np.sqrt(81 + 36 + 16), abs=0.01)
    assert metrics["landmarks"]["after_mm"]["mean"] < 1.0  # a short schedule; the method's own tests ask for more
    assert metrics["folded_percent"] == 0
    assert metrics["support"]["reach_mm"] == 30  # half of a kernel of 3 control points of 20 mm
    assert "within 30 mm of data" in done.stdout
    assert "target registration error of 400 landmarks" in done.stdout
    assert "100 %" not in done.stderr and done.stderr == ""

    warped = np.loadtxt(out / "warped_moving.csv", delimiter=",", skiprows=1)[:, :3]
    assert np.linalg.norm(warped - bent_cloud(), axis=1).mean() < 1.0
    job = json.loads((out / "job.json").read_text(encoding="utf-8"))
    assert {i["role"] for i in job["inputs"]} == {"fixed", "moving", "fixed_landmarks", "moving_landmarks"}
    assert job["provenance"]["peak_memory_mb"] > 50 and job["provenance"]["device"] == "cpu"

    again = diffreg("splat", fixed, moving, "-o", out, "--fixed-landmarks", fixed, "--moving-landmarks", moving, *QUICK)
    assert again.returncode == 0 and "nothing was run" in again.stdout

    other = diffreg("splat", fixed, moving, "-o", out, *QUICK)
    assert_refused(other, "out 1", "--overwrite")
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8")) == metrics


def test_foreign_folder_is_never_replaced(pair, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    assert_refused(diffreg("splat", *pair, "-o", tmp_path / "photos", "--overwrite"), "photos", "not a result")
    assert (tmp_path / "photos" / "cat.jpg").exists()


def start_long(pair, out):
    """A registration that would take minutes, when it is in the middle of its work."""
    flags = ("--affine-iterations", "10000")
    process = subprocess.Popen(
        command("splat", *pair, "-o", out, *flags), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while b"Registering" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    time.sleep(0.5)
    return process


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a single process")
def test_interrupt_ends_within_a_second_and_leaves_nothing(pair, tmp_path):
    process = start_long(pair, tmp_path / "new" / "out")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLOCK)
    took = time.monotonic() - begin
    assert took < allowed(1.0)
    assert process.returncode == 130
    assert errors.decode().count("\n") == 1 and "canceled" in errors.decode()
    assert not (tmp_path / "new").exists()
    assert_no_worker(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_command_takes_its_worker_and_folder_with_it(pair, tmp_path):
    process = start_long(pair, tmp_path / "out")
    process.kill()
    process.communicate(timeout=DEADLOCK)
    deadline = time.monotonic() + allowed(3)
    while list(tmp_path.glob(".out*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(tmp_path.glob(".out*")) and not (tmp_path / "out").exists()
    assert_no_worker(tmp_path)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the worker in /proc")
def test_killed_worker_is_reported_and_leaves_nothing(pair, tmp_path):
    process = start_long(pair, tmp_path / "out")
    (worker,) = workers(tmp_path)
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=DEADLOCK)
    assert process.returncode == 3
    assert b"ended by the system" in errors and b"Traceback" not in errors
    assert not list(tmp_path.glob("*out*"))


def workers(folder):
    """Processes that run a job below the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if b"DiffRegLib.jobs" in words and os.fsencode(folder) in words:
            found.append(int(entry.parent.name))
    return found


def assert_no_worker(folder):
    if Path("/proc").is_dir():
        assert workers(folder) == []


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo terminal")
def test_terminal_shows_a_bar_and_a_table_with_units_and_a_result_is_replaced(pair, tmp_path):
    import pty

    make_job(tmp_path / "out", "splatting", {"fixed": pair[0]}, {})
    (tmp_path / "out" / "old.csv").write_text("of an earlier result")
    main_end, terminal = pty.openpty()
    landmarks = ("--fixed-landmarks", pair[0], "--moving-landmarks", pair[1])
    process = subprocess.Popen(
        command("splat", *pair, "-o", tmp_path / "out", "--overwrite", *landmarks, *QUICK),
        env={**ENVIRONMENT, "COLUMNS": "120"},
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while block := _read(main_end):
        shown += block
    assert process.wait(timeout=DEADLOCK) == 0
    text = shown.decode("utf-8", "replace")
    assert "━" in text and "Drawing the overview." in text
    assert "largest [mm]" in text and "peak memory [MB]" in text
    assert (tmp_path / "out" / "metrics.json").is_file() and not (tmp_path / "out" / "old.csv").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["out", pair[0].parent.name])


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other end of a terminal is closed
        return b""
