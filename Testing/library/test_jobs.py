"""A job is a folder: what its worker prints, how it ends, and what it leaves behind."""

import json
import os
import subprocess
import sys
import time

import pytest

from DiffRegLib.jobs import is_complete, make_job, parse, read_job, worker_command, worker_environment
from DiffRegLib.jobs.job import checksum
from Testing.library.patience import DEADLOCK, allowed

PATIENT = """
import time
from dataclasses import dataclass

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.method import Input, Method
from DiffRegLib.options import option

@dataclass(frozen=True)
class Options:
    kind: str = option("good", "what happens")
    seed: int = option(0, "of nothing")

FIXED = Input("fixed", ("table",), "any file")
METHOD = Method("test", "test", "Test", "test a job", {"test": Options}, (FIXED,), "patient_method:run")

def run(inputs, options, folder, progress):
    kind = options["test"].kind
    print("a library that prints where only progress belongs")
    progress(0.1, "Started.")
    (folder / "half.txt").write_text("unfinished")
    if kind == "bad":
        raise RegistrationError("moving.csv has no points: give another file.")
    if kind == "option":
        raise RegistrationError("{seed} is odd: give another.", option="seed", path="moving.csv")
    if kind == "crash":
        raise KeyError("surprise")
    if kind == "full":
        raise OSError(28, "No space left on device")
    if kind == "memory":
        raise MemoryError
    if kind == "vanish":
        import shutil
        shutil.rmtree(folder.parent)
    if kind == "long":
        time.sleep(600)
    for i in range(3):
        progress(0.2 + 0.2 * i, "Optimizing.", stage="fine", level=1, iteration=i, loss=1 / (i + 1))
        time.sleep(0.06)
    (folder / "whole.txt").write_text(inputs["fixed"].path, encoding="utf-8")
    from DiffRegLib.methods.registration import Provenance, Registration
    from DiffRegLib.transforms import Affine
    provenance = Provenance("test", "0", {}, 5, "cpu", 0.2, 1.0, {})
    return Registration(Affine.identity(), Affine.identity(), (), provenance, metrics={"found": float("nan")})
"""

BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
from DiffRegLib.methods import METHODS
METHODS["test"] = "patient_method"
from DiffRegLib.jobs.__main__ import main
sys.exit(main(sys.argv[2:]))
"""

CORE = ["inverse.h5", "job.json", "metrics.json", "transform.h5"]


@pytest.fixture
def job_of(tmp_path):
    """Makes a job of the test's own method, in a folder with a space and letters beyond ASCII."""

    def make(kind, **kwargs):
        fixed = tmp_path / "größe 1.csv"
        fixed.write_text("x,y,z\n1,2,3\n", encoding="utf-8")
        folder = tmp_path / "job für 患者"
        make_job(folder, "test", {"fixed": fixed}, {"test": {"kind": kind, "seed": 5}}, **kwargs)
        return folder

    return make


def start(folder, *flags, **kwargs):
    (folder.parent / "patient_method.py").write_text(PATIENT)
    boot = folder.parent / "boot.py"
    boot.write_text(BOOT)
    command = [sys.executable, str(boot), str(folder.parent), "run", str(folder), *flags]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=worker_environment(), **{"stdin": pipe, **kwargs})


def run(folder, *flags):
    process = start(folder, *flags)
    output, errors = process.communicate(timeout=DEADLOCK)
    return process.returncode, [json.loads(line) for line in output.decode("ascii").splitlines()], errors.decode()


def test_finished_job_has_a_result_with_provenance(job_of):
    folder = job_of("good")
    code, lines, errors = run(folder)
    assert code == 0
    assert lines[-1] == {"done": True}
    assert [line["iteration"] for line in lines if "iteration" in line] == [0, 1, 2]
    assert {line["stage"] for line in lines if "iteration" in line} == {"fine"}
    assert [line["fraction"] for line in lines[:-1]] == sorted(line["fraction"] for line in lines[:-1])
    assert all(parse(json.dumps(line)) for line in lines)
    assert "a library that prints" in errors

    stored = (folder / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in stored] == lines
    assert sorted(p.name for p in folder.iterdir()) == ["job.json", "progress.jsonl", "result"]
    written = json.loads((folder / "result" / "job.json").read_text(encoding="utf-8"))
    assert written["inputs"][0]["sha256"] == checksum(written["inputs"][0]["path"])
    assert written["seed"] == 5
    assert written["provenance"]["device"] == "cpu"
    assert written["provenance"]["packages"]["torch"]
    assert written["provenance"]["job_seconds"] > 0.18
    assert (folder / "result" / "whole.txt").read_text(encoding="utf-8").endswith("größe 1.csv")
    assert sorted(p.name for p in (folder / "result").iterdir()) == sorted([*CORE, "half.txt", "whole.txt"])
    metrics = json.loads((folder / "result" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["found"] is None and metrics["seconds"] == 0.2


def test_complete_job_is_not_run_again(job_of):
    folder = job_of("good")
    run(folder)
    before = (folder / "result" / "whole.txt").stat().st_mtime_ns
    code, lines, _ = run(folder)
    assert code == 0
    assert "complete already" in lines[0]["message"]
    assert (folder / "result" / "whole.txt").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "kind, code, words",
    [
        ("bad", 2, "moving.csv has no points"),
        ("full", 2, "disk of"),
        ("memory", 2, "not enough memory"),
        ("crash", 3, "KeyError: 'surprise'"),
    ],
)
def test_failed_job_says_one_sentence_and_leaves_no_result(job_of, kind, code, words):
    folder = job_of(kind)
    exit_code, lines, errors = run(folder)
    assert exit_code == code
    assert list(lines[-1]) == ["error"] and words in lines[-1]["error"] and "\n" not in lines[-1]["error"]
    assert "Traceback" not in errors
    expected = {"job.json", "progress.jsonl"} | ({"traceback.txt"} if code == 3 else set())
    assert {p.name for p in folder.iterdir()} == expected
    if code == 3:
        assert "patient_method.py" in (folder / "traceback.txt").read_text()


def test_an_error_names_its_option_and_its_path_for_whoever_words_them(job_of):
    code, lines, _ = run(job_of("option"))
    event = parse(json.dumps(lines[-1]))
    assert code == 2 and event.error == "Seed is odd: give another."
    assert event.fault.options == ("seed",) and event.fault.path == "moving.csv"
    assert event.fault.worded(lambda name: f"--{name}") == "--seed is odd: give another."


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let go of a folder in use")
def test_job_folder_that_disappears_is_one_sentence(job_of):
    folder = job_of("vanish")
    code, lines, errors = run(folder)
    assert code == 2 and "has disappeared" in lines[-1]["error"] and "Traceback" not in errors
    assert not folder.exists()


def wait_for_start(process):
    while b"Started." not in process.stdout.readline():
        assert process.poll() is None


def wait_for_end(process, seconds):
    """The exit code of a process that ends within `seconds`."""
    begin = time.monotonic()
    code = process.wait(timeout=DEADLOCK)
    assert time.monotonic() - begin < allowed(seconds)
    return code


def test_closed_input_ends_an_attached_worker_at_once(job_of):
    folder = job_of("long")
    process = start(folder, "--attached")
    wait_for_start(process)
    process.stdin.close()
    assert wait_for_end(process, 1.0) == 130
    assert sorted(p.name for p in folder.iterdir()) == ["job.json", "progress.jsonl"]


def test_temporary_folder_goes_with_the_parent(job_of):
    folder = job_of("long")
    process = start(folder, "--attached", "--temporary")
    wait_for_start(process)
    process.stdin.close()
    assert wait_for_end(process, 1.0) == 130
    assert not folder.exists()


def test_worker_without_a_reader_stops_at_its_next_line(job_of):
    folder = job_of("good")
    process = start(folder)
    wait_for_start(process)
    process.stdout.close()
    assert wait_for_end(process, 5.0) == 130
    assert not (folder / "result").exists()


def test_unattached_worker_runs_without_an_input(job_of):
    folder = job_of("good")
    process = start(folder, stdin=subprocess.DEVNULL)
    process.communicate(timeout=DEADLOCK)
    assert process.returncode == 0 and is_complete(folder)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process could catch")
def test_terminated_worker_cleans_up(job_of):
    folder = job_of("long")
    process = start(folder)
    wait_for_start(process)
    process.terminate()
    assert wait_for_end(process, 1.0) == 130
    assert sorted(p.name for p in folder.iterdir()) == ["job.json", "progress.jsonl"]


def test_killed_worker_leaves_no_result_and_the_job_can_be_run_again(job_of):
    folder = job_of("long")
    process = start(folder)
    wait_for_start(process)
    process.kill()
    process.communicate(timeout=DEADLOCK)
    assert not is_complete(folder)
    job_of("good")
    assert run(folder)[0] == 0
    assert sorted(p.name for p in (folder / "result").iterdir()) == sorted([*CORE, "half.txt", "whole.txt"])


def test_changed_input_is_noticed(job_of):
    folder = job_of("good")
    (folder.parent / "größe 1.csv").write_text("x,y,z\n1,2,4\n")
    code, lines, _ = run(folder)
    assert code == 2 and "has changed since the job was made" in lines[-1]["error"]


def test_checksums_may_be_left_to_the_worker(job_of):
    folder = job_of("good", checksums=False)
    assert read_job(folder).inputs[0].sha256 is None
    assert run(folder)[0] == 0
    assert len(read_job(folder / "result").inputs[0].sha256) == 64


def test_folder_without_a_job_is_one_sentence(tmp_path):
    code, lines, errors = run(tmp_path / "nowhere")
    assert code == 2 and "is not a job folder" in lines[-1]["error"] and "Traceback" not in errors
    assert not (tmp_path / "nowhere").exists()


def test_panel_side_imports_neither_torch_nor_numpy():
    code = "import sys, DiffRegLib.jobs; print([m for m in ('torch', 'numpy', 'numba', 'vtk') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], env=worker_environment(), capture_output=True, text=True)
    assert output.stdout.strip() == "[]"


def test_worker_command_starts_the_worker(tmp_path):
    command = worker_command(tmp_path, python="PythonSlicer", temporary=True)
    assert command[:4] == ["PythonSlicer", "-m", "DiffRegLib.jobs", "run"]
    assert command[4:] == [str(tmp_path), "--attached", "--temporary"]
