"""Every bad input: one sentence that names the file and what to do, exit code 2, and no folder left."""

import contextlib
import gzip
import io
import json
import os
import subprocess

import numpy as np
import pytest

from DiffRegLib.cli import main
from DiffRegLib.jobs import JOB, PROGRESS, RESULT, make_job
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.jobs.worker import run_job
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.options import to_dict
from DiffRegLib.points import CloudOptions


def diffreg(*arguments):
    """Exit code and output of the command, in this process: that it is one, `test_cli` tests."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main([str(a) for a in arguments])
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


def assert_refused(done, *words):
    assert done.returncode == 2, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("diffreg: ") and lines[0].endswith("."), done.stderr
    for word in words:
        assert word in lines[0]


def assert_job_refused(folder, fixed, moving, *words, **others):
    """The job of this pair ends with code 2 and one sentence that holds all words, before the optimization begins."""
    options = {"splatting": to_dict(SplattingOptions()), "clouds": to_dict(CloudOptions())}
    make_job(folder, "splatting", {"fixed": fixed, "moving": moving, **others}, options)
    output = io.StringIO()
    code = run_job(folder, Reporter(folder / PROGRESS, output))
    sentence = json.loads(output.getvalue().splitlines()[-1])["error"]
    assert code == 2, sentence
    assert "Registering" not in output.getvalue()
    assert "\n" not in sentence and sentence.endswith(".")
    for word in words:
        assert word in sentence
    assert not (folder / RESULT).exists() and sorted(p.name for p in folder.iterdir()) == [JOB, PROGRESS]


def write_csv(path, points):
    np.savetxt(path, points, delimiter=",", header="x,y,z", comments="", fmt="%.6f")
    return path


def cloud(count=100):
    return np.random.default_rng(1).normal(size=(count, 3)) * (30, 40, 50) + (5.5, -20.25, 7.75)


def with_nan():
    points = cloud()
    points[7, 1] = np.nan
    return points


def with_infinity():
    points = cloud()
    points[3, 2] = np.inf
    return points


def voxel_indices():
    return np.random.default_rng(2).integers(0, 200, size=(100, 3)).astype(float)


@pytest.mark.parametrize(
    "points, words",
    [
        (with_nan, ["NaN"]),
        (with_infinity, ["infinite"]),
        (lambda: cloud(9), ["9 points", "10"]),
        (lambda: cloud() / 1000, ["meters"]),
        (voxel_indices, ["voxel indices"]),
    ],
    ids=["nan", "infinity", "few", "meters", "voxels"],
)
@pytest.mark.parametrize("side", ["fixed", "moving"])
def test_points_that_cannot_be_registered(tmp_path, points, words, side):
    good = write_csv(tmp_path / "good.csv", cloud())
    bad = write_csv(tmp_path / "bad.csv", points())
    pair = (bad, good) if side == "fixed" else (good, bad)
    assert_job_refused(tmp_path / "job", *pair, "bad.csv", *words)


def test_command_relays_the_sentence_of_its_worker(tmp_path):
    good, bad = write_csv(tmp_path / "good.csv", cloud()), write_csv(tmp_path / "bad.csv", with_nan())
    assert_refused(diffreg("splat", good, bad, "-o", tmp_path / "new" / "out"), "bad.csv", "NaN")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "good.csv"]


def write_volume(path, array, origin=(0, 0, 0), dtype=np.int16):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.asarray(array, dtype=dtype))
    image.SetSpacing((3, 3, 3))
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
    return path


def ball(shift=0):
    z, y, x = np.mgrid[:32, :32, :32]
    return ((x - 16 - shift) ** 2 + (y - 15) ** 2 + (z - 17) ** 2 < 81).astype(np.int16)


def empty_map(path):
    return write_volume(path, np.zeros((16, 16, 16)))


def elsewhere(path):
    return write_volume(path, ball(), origin=(900, 0, 0))


def without_geometry(path):
    write_volume(path, ball())
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[252:256] = bytes(4)  # qform_code and sform_code of the NIfTI-1 header
    path.write_bytes(gzip.compress(bytes(content)))
    return path


def truncated(path):
    write_volume(path, np.random.default_rng(0).integers(0, 2000, (32, 32, 32)))
    path.write_bytes(path.read_bytes()[:2000])
    return path


def not_an_image(path):
    path.write_bytes(b"this is no volume")
    return path


@pytest.mark.parametrize(
    "make, words",
    [
        (empty_map, ["label"]),
        (elsewhere, ["overlap", "initial"]),
        (without_geometry, ["geometry"]),
        (truncated, ["truncated"]),
        (not_an_image, ["cannot be read"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_images_that_cannot_be_registered(tmp_path, make, words):
    good = write_volume(tmp_path / "good.nii.gz", ball(2))
    bad = make(tmp_path / "bad.nii.gz")
    assert_job_refused(tmp_path / "job", good, bad, "bad.nii.gz", *words)


def test_voxels_that_are_no_numbers(tmp_path):
    voxels = ball().astype(np.float32) * 1000 - 1000.5
    voxels[3, 4, 5], voxels[6, 7, 8] = np.nan, np.inf
    for name in ("bad.nrrd", "bad.nii.gz"):
        bad = write_volume(tmp_path / name, voxels, dtype=np.float32)
        assert_job_refused(tmp_path / f"job {name}", bad, bad, name, "NaN or infinite voxels")


def test_singular_geometry(tmp_path):
    good = write_volume(tmp_path / "good.nii.gz", ball())
    header = (
        "NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 8 8\n"
        "space directions: (1,0,0) (1,0,0) (0,0,1)\nkinds: domain domain domain\nencoding: raw\n"
        "space origin: (0,0,0)\n\n"
    )
    (tmp_path / "bad.nrrd").write_bytes(header.encode() + bytes([1] * 512))
    assert_job_refused(tmp_path / "job", good, tmp_path / "bad.nrrd", "bad.nrrd")


@pytest.mark.parametrize(
    "name", ["bad.vtp", "bad.vtk", "bad.ply", "bad.stl", "bad.npz", "bad.csv", "bad.mrk.json", "bad.fcsv"]
)
@pytest.mark.parametrize("content", [b"", b"\x00\x01damaged\xff\n"], ids=["empty", "damaged"])
def test_files_that_cannot_be_read(tmp_path, name, content):
    good = write_csv(tmp_path / "good.csv", cloud())
    (tmp_path / name).write_bytes(content)
    assert_job_refused(tmp_path / "job", good, tmp_path / name, name)


@pytest.mark.parametrize("key, words", [("", ["two.npz:a", "two.npz:b"]), (":c", ["'c'"])])
def test_archive_needs_the_name_of_one_array(tmp_path, key, words):
    np.savez(tmp_path / "two.npz", a=cloud(), b=cloud())
    good = write_csv(tmp_path / "good.csv", cloud())
    assert_job_refused(tmp_path / "job", good, f"{tmp_path / 'two.npz'}{key}", "two.npz", *words)


def test_names_that_lead_nowhere(tmp_path):
    good = write_csv(tmp_path / "good.csv", cloud())
    (tmp_path / "notes.docx").write_text("no cloud")
    out = ("-o", tmp_path / "out")
    assert_refused(diffreg("splat", good, tmp_path / "gone.csv", *out), "gone.csv", "does not exist")
    assert_refused(diffreg("splat", good, tmp_path / "gone.npz:a", *out), "gone.npz", "does not exist")
    assert_refused(diffreg("splat", good, tmp_path / "notes.docx", *out), "notes.docx", "unknown extension", ".nii.gz")
    assert_refused(diffreg("splat", good, good, *out, "--initial", tmp_path / "gone.h5"), "gone.h5", "does not exist")
    assert_refused(diffreg("splat", good, good, *out, "--initial", good), "good.csv", "initial")
    assert_refused(diffreg("splat", good, good, *out, "--fixed-mask", good), "good.csv", "mask")
    assert not (tmp_path / "out").exists()


def test_output_that_cannot_be_written(tmp_path):
    good = write_csv(tmp_path / "good.csv", cloud())
    below_a_file = good / "out"
    assert_refused(diffreg("splat", good, good, "-o", below_a_file), "good.csv", "cannot be written")
    assert_refused(diffreg("splat", good, good, "-o", good), "good.csv", "not a result of diffreg")
    assert_refused(diffreg("phantom", below_a_file), "good.csv", "cannot be written")
    assert_refused(diffreg("phantom", tmp_path), "not an empty folder")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path):
    good = write_csv(tmp_path / "good.csv", cloud())
    (tmp_path / "locked").mkdir(mode=0o500)
    assert_refused(diffreg("splat", good, good, "-o", tmp_path / "locked" / "out"), "locked", "cannot be written")


def test_landmarks_that_do_not_correspond(tmp_path):
    good = write_csv(tmp_path / "good.csv", cloud())
    few = write_csv(tmp_path / "few.csv", cloud(20))
    assert_job_refused(tmp_path / "one", good, good, "few.csv", "counterpart", fixed_landmarks=few)
    both = {"fixed_landmarks": few, "moving_landmarks": good}
    assert_job_refused(tmp_path / "two", good, good, "20 landmarks", "100", "same order", **both)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], ["VERB"]),
        (["fly"], ["fly"]),
        (["splat", "a.csv"], ["MOVING", "diffreg splat --help"]),
        (["splat", "a.csv", "b.csv", "-o", "out", "--colour", "red"], ["--colour"]),
        (["splat", "a.csv", "b.csv", "-o", "out", "--seed", "many"], ["--seed"]),
        (["splat", "a.csv", "b.csv", "-o", "out", "--preset", "feet"], ["--preset", "lung-vessels"]),
        (["splat", "a.csv", "b.csv", "-o", "out", "--seed", "-1"], ["--seed", "0"]),
        (["info", "gone.nii.gz"], ["gone.nii.gz", "does not exist"]),
        (["warp", "gone.csv", "t.h5", "-o", "x.csv"], ["gone.csv", "does not exist"]),
        (["evaluate", "gone.h5"], ["gone.h5", "does not exist"]),
    ],
)
def test_wrong_calls(arguments, words):
    assert_refused(diffreg(*arguments), *words)
