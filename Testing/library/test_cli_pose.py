"""`diffreg pose` and `diffreg drr` as their user meets them: files, exit codes, and one sentence for bad input."""

import json

import numpy as np
import pytest
import torch

from DiffRegLib.camera import c_arm, read_geometry, write_geometry
from DiffRegLib.cli import _parser, main
from DiffRegLib.cli.pose import start_of
from DiffRegLib.files import read_image, read_transform, write_image
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.projection import project
from DiffRegLib.transforms import Affine, rigid, write_transform

CENTER = torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)
CORE = ("transform.h5", "inverse.h5", "metrics.json", "job.json", "overview.png")
POSE = (4.0, -6.0, 3.0, 8.0, -5.0, 12.0)


def body() -> Image:
    """A CT of 40^3 voxels of 5 mm: a trunk of water with a tilted bone, a smaller one, and gas; no symmetry."""
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] *= 5
    affine[:3, 3] = CENTER - 5 * 19.5
    grid = Geometry((40, 40, 40), affine)
    x, y, z = (grid.grid().double() - CENTER).unbind(-1)
    data = torch.full((40, 40, 40), -1000.0, dtype=torch.float64)
    data[(x / 85) ** 2 + (y / 65) ** 2 + (z / 90) ** 2 < 1] = 0
    data[((x - 30 - 0.4 * z) / 14) ** 2 + ((y + 15) / 18) ** 2 + (z / 60) ** 2 < 1] = 900
    data[((x + 35) / 20) ** 2 + ((y - 10) / 12) ** 2 + ((z - 25) / 15) ** 2 < 1] = 700
    data[((x + 10) / 18) ** 2 + ((y - 30) / 15) ** 2 + ((z + 35) / 20) ** 2 < 1] = -900
    return Image(data[None].float(), affine)


def write_xray(path, values):
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(np.asarray(values)), str(path))
    return path


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Threads that wait for each other on a busy machine take fifty times as long for images this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(threads)


def said(capsys, *arguments):
    """Exit code, output and complaint of the command."""
    capsys.readouterr()
    code = main([str(a) for a in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def assert_refused(capsys, folder, arguments, *words):
    """Exit code 2, one sentence with all words, nothing written into the folder."""
    before = sorted(p.name for p in folder.iterdir())
    code, _, complaint = said(capsys, *arguments)
    assert code == 2, complaint
    lines = complaint.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("diffreg: ") and lines[0].endswith("."), complaint
    for word in words:
        assert word in lines[0], complaint
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A CT, its line integrals at a known pose from two sides, and the geometry of both views."""
    folder = tmp_path_factory.mktemp("scene")
    ct = body()
    write_image(ct, folder / "ct.nii.gz", "int16")
    views = [c_arm(CENTER, 1000.0, 600.0, (5.0, 5.0), (64, 64), angles) for angles in ((0, 0), (90, 0))]
    pose = rigid(POSE[:3], POSE[3:], CENTER)
    for name, camera in zip(("front", "side"), views):
        write_xray(folder / f"{name}.mha", project(attenuation(ct), pose.matrix, camera, 1.0)[0, 0].numpy())
        write_geometry(folder / f"{name}.json", [camera], CENTER)
    write_geometry(folder / "both.json", views, CENTER)
    return folder


def geometry_without(scene, path, *keys, **changes):
    content = json.loads((scene / "front.json").read_text(encoding="utf-8"))
    content = {k: v for k, v in {**content, **changes}.items() if k not in keys}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_start_may_begin_with_any_negative_number():
    for first, number in (("-5", -5.0), ("-1e-3", -1e-3), ("-.5", -0.5), ("-2.5E1", -25.0)):
        given = _parser(["pose"]).parse_args(["pose", "ct", "x", "-o", "out", "--start", first, *"00000"])
        assert start_of(given.start) == [number, 0, 0, 0, 0, 0]


QUICK = ("--levels", "32", "64", "--starts", "60", "--rounds", "2", "--search-level", "16")


def test_pose_writes_the_transform_the_facts_and_the_picture(scene, tmp_path, capsys):
    out = tmp_path / "neu" / "out 1"
    start = [str(v) for v in (1.0, -2.0, 0.0, 3.0, 0.0, 5.0)]
    command = ["pose", scene / "ct.nii.gz", scene / "front.mha", "-o", out, "--geometry", scene / "front.json"]
    code, printed, complaint = said(capsys, *command, "--line-integrals", "--start", *start, *QUICK)
    assert code == 0, complaint
    assert {p.name for p in out.iterdir()} == {"drr_1.nrrd", *CORE}
    facts = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    names = {"start", "end", "change", "verdict", "uncertainty", "trace", "seconds"}
    assert names <= set(facts) and len(facts["trace"]) > 1
    found, truth = read_transform(out / "transform.h5"), rigid(POSE[:3], POSE[3:], CENTER)
    points = body().corners()
    assert (found(points) - truth(points)).norm(dim=-1).max() < 2.0
    torch.testing.assert_close(torch.tensor(facts["end"]["matrix"]).double(), found.matrix, atol=1e-6, rtol=0)
    import SimpleITK as sitk

    right, anterior, superior = found(CENTER).tolist()
    seen = sitk.ReadTransform(str(out / "transform.h5")).TransformPoint((-CENTER[0].item(), -CENTER[1].item(), 30.0))
    assert seen == pytest.approx((-right, -anterior, superior), abs=1e-6)
    numbers = facts["end"]["rotation_degrees"] + facts["end"]["translation_mm"]
    torch.testing.assert_close(rigid(numbers[:3], numbers[3:], CENTER).matrix, found.matrix, atol=1e-6, rtol=0)
    assert facts["start"]["translation_mm"] == pytest.approx([3.0, 0.0, 5.0])
    shift = torch.tensor(numbers[3:]) - torch.tensor([3.0, 0.0, 5.0])
    assert facts["change"]["mm"] == pytest.approx(shift.norm().item(), abs=1e-6)
    assert facts["verdict"] in printed and "rx [degrees]" in printed
    _, told, _ = said(capsys, "info", out)
    assert "projective registration" in told and printed[printed.index("Pose in") :] in told
    assert (out / "overview.png").stat().st_size > 20_000
    np.savetxt(tmp_path / "points.csv", points, delimiter=",", header="x,y,z", comments="")
    assert said(capsys, "warp", tmp_path / "points.csv", out, "-o", tmp_path / "there.csv", "--inverse")[0] == 0
    there = np.loadtxt(tmp_path / "there.csv", delimiter=",", skiprows=1)[:, :3]
    np.testing.assert_allclose(there, found(points).numpy(), atol=1e-3)
    code, measured, _ = said(capsys, "evaluate", out, "--like", scene / "ct.nii.gz", "--json")
    assert code == 0 and json.loads(measured)["folded_percent"] == 0


def test_two_views_start_from_a_file_and_from_landmarks(in_process, scene, tmp_path, capsys):
    write_transform(rigid([1.0, -2, 0], [3.0, 0, 5], CENTER), tmp_path / "start.tfm")
    command = ["pose", scene / "ct.nii.gz", scene / "front.mha", scene / "side.mha", "--geometry", scene / "both.json"]
    command += ["--line-integrals", *QUICK, "--no-search"]
    code, _, complaint = said(capsys, *command, "-o", tmp_path / "file", "--start", tmp_path / "start.tfm")
    assert code == 0, complaint
    points = CENTER + torch.tensor(
        [[40.0, 0, 0], [-30, 20, 10], [0, -40, 30], [10, 30, -50], [5, 5, 60], [-40, -9, -20]]
    )
    camera = read_geometry(scene / "front.json", [(64, 64)])[0].camera
    clicks, _ = camera.project(rigid(POSE[:3], POSE[3:], CENTER)(points))
    np.savetxt(tmp_path / "points.csv", points, delimiter=",", header="x,y,z", comments="")
    np.savetxt(tmp_path / "clicks.csv", clicks, delimiter=",", header="column,row", comments="")
    marks = ["--landmarks", tmp_path / "points.csv", "--clicks", tmp_path / "clicks.csv"]
    code, _, complaint = said(capsys, *command, "-o", tmp_path / "marks", *marks)
    assert code == 0, complaint
    facts = json.loads((tmp_path / "marks" / "metrics.json").read_text(encoding="utf-8"))
    assert "landmarks" in facts["start_note"]
    start = facts["start"]["rotation_degrees"] + facts["start"]["translation_mm"]
    assert start == pytest.approx(list(POSE), abs=0.02)
    for name in ("file", "marks"):
        found = read_transform(tmp_path / name / "transform.h5")
        assert (found(points) - rigid(POSE[:3], POSE[3:], CENTER)(points)).norm(dim=-1).max() < 1.0


def test_bad_starts_and_geometries_are_refused(in_process, scene, tmp_path, capsys):
    ct, xray, geometry = scene / "ct.nii.gz", scene / "front.mha", scene / "front.json"
    base = ["pose", ct, xray, "-o", tmp_path / "out"]
    here = [*base, "--geometry", geometry]
    stretched = torch.eye(4, dtype=torch.float64)
    stretched[0, 0] = 1.2
    write_transform(Affine(stretched), tmp_path / "stretched.tfm")
    moved = geometry_without(scene, tmp_path / "moved.json", params=[0, 0, 0, 9, 0, 0])
    still = geometry_without(scene, tmp_path / "still.json", params=[0, 0, 0, 0, 0, 0])
    no_pitch = geometry_without(scene, tmp_path / "pitch.json", "pixel_mm", "field_mm")
    no_source = geometry_without(scene, tmp_path / "source.json", "source_carm_minus_iso")
    side = scene / "side.mha"
    two = ["pose", ct, xray, side, "-o", tmp_path / "out"]
    for arguments, words in (
        (base, ["DistanceSourceToDetector (0018,1110)", "ImagerPixelSpacing (0018,1164)", "--geometry"]),
        ([*base, "--geometry", no_pitch], ["pitch.json", "pixel spacing"]),
        ([*base, "--geometry", no_source], ["source.json", "source_carm_minus_iso"]),
        ([*base, "--geometry", tmp_path / "none.json"], ["none.json", "does not exist"]),
        ([*here, "--start", 1, 2, 3], ["six numbers"]),
        ([*here, "--start", 1, 2, 3, 4, 5, "nan"], ["six numbers"]),
        ([*here, "--start", tmp_path / "stretched.tfm"], ["stretched.tfm", "not rigid"]),
        ([*here, "--start", 0, 0, 0, 0, -800, 0], ["behind the X-ray source"]),
        ([*here, "--start", 0, 0, 0, 900, 0, 0], ["outside the beam"]),
        ([*two, "--geometry", geometry], ["1 view", "2 X-rays"]),
        ([*two, "--geometry", geometry, "--geometry", geometry], ["same geometry"]),
        ([*two, "--geometry", moved, "--geometry", still], ["contradict"]),
        ([*here, "--landmarks", tmp_path / "stretched.tfm"], ["cannot be used as --landmarks"]),
        ([*here, "--water", "0"], ["--water"]),
    ):
        assert_refused(capsys, tmp_path, arguments, *words)


def test_bad_images_are_refused(in_process, scene, tmp_path, capsys):
    gray = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    import SimpleITK as sitk

    sitk.WriteImage(
        sitk.GetImageFromArray(np.stack([gray, gray, gray[::-1]], -1), isVector=True), str(tmp_path / "color.png")
    )
    write_xray(tmp_path / "constant.png", np.full((64, 64), 9, np.uint8))
    broken = gray.astype(np.float32)
    broken[0, 0] = np.nan
    write_xray(tmp_path / "nan.mha", broken)
    shifted, nan = body().data + 1024, body().data.clone()
    nan[0, 5, 5, 5] = float("nan")
    write_image(Image(shifted, body().affine), tmp_path / "shifted.nii.gz", "int16")
    write_image(Image(nan, body().affine), tmp_path / "nan_ct.nii.gz")
    rest = ["-o", tmp_path / "out", "--geometry", scene / "front.json"]
    for ct, xray, words in (
        (scene / "ct.nii.gz", tmp_path / "color.png", ["color.png", "color image"]),
        (scene / "ct.nii.gz", tmp_path / "constant.png", ["constant.png", "constant"]),
        (scene / "ct.nii.gz", tmp_path / "nan.mha", ["nan.mha", "NaN"]),
        (scene / "ct.nii.gz", scene / "front.json", ["front.json", "cannot be read as an image"]),
        (scene / "ct.nii.gz", tmp_path / "missing.png", ["missing.png", "does not exist"]),
        (tmp_path / "shifted.nii.gz", scene / "front.mha", ["shifted.nii.gz", "Hounsfield", "1024"]),
        (tmp_path / "nan_ct.nii.gz", scene / "front.mha", ["nan_ct.nii.gz", "NaN"]),
    ):
        assert_refused(capsys, tmp_path, ["pose", ct, xray, *rest], *words)


def test_drr_writes_line_integrals_and_a_geometry_that_pose_understands(scene, tmp_path, capsys):
    from DiffRegLib.radiographs.xray import read_xray

    out, geometry = tmp_path / "view.nii.gz", tmp_path / "view.json"
    pose = [str(v) for v in POSE]
    command = [
        "drr",
        scene / "ct.nii.gz",
        "-o",
        out,
        "--size",
        48,
        "--field",
        320,
        "--primary-angle",
        20,
        "--pose",
        *pose,
    ]
    code, printed, complaint = said(capsys, *command, "--write-geometry", geometry)
    assert code == 0 and "48 x 48" in printed, complaint
    camera = read_geometry(geometry, [(48, 48)])[0].camera
    expected = project(attenuation(body()), rigid(POSE[:3], POSE[3:], CENTER).matrix, camera)[0, 0]
    np.testing.assert_allclose(read_xray(out).values, expected.numpy(), atol=1e-4)
    assert_refused(capsys, tmp_path, command, "view.nii.gz", "exists")


def test_a_frontal_png_has_the_head_up_and_the_right_side_on_the_left(scene, tmp_path, capsys):
    from PIL import Image as Picture

    ct = body()
    x, _, z = (ct.grid().double() - CENTER).unbind(-1)
    one = ct.data.clone().fill_(-1000)
    one[0][((x - 40).abs() < 12) & ((z - 50).abs() < 12)] = 600  # bone, right and up
    write_image(Image(one, ct.affine), tmp_path / "ct.nii.gz", "int16")
    assert said(capsys, "drr", tmp_path / "ct.nii.gz", "-o", tmp_path / "a.png", "--size", 64)[0] == 0
    gray = np.array(Picture.open(tmp_path / "a.png")).astype(float)
    row, column = np.unravel_index(gray.argmax(), gray.shape)
    assert row < 28 and column < 28
    dark = ["drr", tmp_path / "ct.nii.gz", "-o", tmp_path / "b.png", "--size", 64, "--bone-dark"]
    assert said(capsys, *dark)[0] == 0
    np.testing.assert_allclose(np.array(Picture.open(tmp_path / "b.png")), 65535 - gray, atol=1)


def test_drr_of_several_poses_makes_stacks_movies_and_folders(scene, tmp_path, capsys):
    from PIL import Image as Picture

    poses = np.array([[0, 0, 0, 0, 0, 0], POSE])
    np.savetxt(tmp_path / "poses.csv", poses, delimiter=",", header="rx,ry,rz,tx,ty,tz", comments="")
    base = ["drr", scene / "ct.nii.gz", "--size", 32, "--poses", tmp_path / "poses.csv"]
    assert said(capsys, *base, "-o", tmp_path / "stack.nii.gz")[0] == 0
    assert read_image(tmp_path / "stack.nii.gz").shape == (2, 32, 32)
    assert said(capsys, *base, "-o", tmp_path / "frames")[0] == 0
    assert [p.name for p in sorted((tmp_path / "frames").iterdir())] == ["frame_000.png", "frame_001.png"]
    turn = ["drr", scene / "ct.nii.gz", "--size", 32, "--rotation", 8]
    assert said(capsys, *turn, "-o", tmp_path / "turn.gif")[0] == 0
    assert Picture.open(tmp_path / "turn.gif").n_frames == 8
    for arguments, words in (
        ([*base, "-o", tmp_path / "a.png"], ["one image and there are 2"]),
        ([*base, "-o", tmp_path / "a.xyz"], ["unknown extension"]),
        ([*base, "-o", tmp_path / "a.gif", "--rotation", 4], ["one of them"]),
        ([*turn, "-o", tmp_path / "a.gif", "--labels", 3], ["label"]),
        (["drr", scene / "ct.nii.gz", "-o", tmp_path / "a.png", "--pose", 0, 0, 0, 0, 700, 0], ["beyond the detector"]),
    ):
        assert_refused(capsys, tmp_path, arguments, *words)
