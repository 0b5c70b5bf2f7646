"""Cameras from geometry files and DICOM tags: the benchmark's geometry in both of its conventions, and bad files."""

import json

import numpy as np
import pytest
import torch

from DiffRegLib.camera import Camera, c_arm, from_dicom, read_geometry, turned, write_geometry
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.start import read_cameras
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.projection import project
from DiffRegLib.radiographs.xray import read_xray
from DiffRegLib.transforms import rigid

TAGS = {
    "0018|1110": "1000 ",
    "0018|1111": "620",
    "0018|1164": "0.3\\0.4",
    "0018|1510": "30",
    "0018|1511": "-10",
}
FORM = {
    "isocentre_ct_mm": [1.0, 2.0, 3.0],
    "source_detector_mm": 1000.0,
    "pixel_mm": {"64": 4.0},
    "field_mm": 256.0,
    "source_carm_minus_iso": [0, -600.0, 0],
    "detector_centre_carm_minus_iso": [0, 400.0, 0],
    "u_column_direction": [-1.0, 0, 0],
    "v_row_direction": [0, 0, -1.0],
}


def written(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def without(*keys, **changes):
    return {key: value for key, value in {**FORM, **changes}.items() if key not in keys}


def same(first: Camera, second: Camera):
    torch.testing.assert_close(first.projection_matrix, second.projection_matrix, atol=1e-6, rtol=1e-9)
    return first.size == second.size


@pytest.fixture(scope="module")
def pelvis(shared_data):
    folder = shared_data / "drr_pelvis"
    return folder, attenuation(read_image(folder / "ct128.nii.gz"))


def test_the_seven_calibration_images_are_met_and_approached_with_a_finer_step(pelvis):
    folder, volume = pelvis
    placement = read_geometry(folder / "geometry.json", [(128, 128)])[0]
    poses = torch.from_numpy(np.load(folder / "calib_poses.npz")["M_target"])
    exact = torch.from_numpy(np.load(folder / "calib_proj128.npz")["line_integral"])
    errors = []
    for step in (None, 0.75, 0.375):
        error = project(volume, poses, placement.camera, step)[:, 0] - exact
        errors.append((error.square().mean((1, 2)).sqrt() / exact.square().mean((1, 2)).sqrt()).max().item())
    assert errors[0] < 2e-3
    assert errors[2] < errors[1] < errors[0] and errors[2] < 2e-4


def test_the_pose_of_the_readme_is_its_printed_matrix(pelvis):
    folder, _ = pelvis
    isocenter = read_geometry(folder / "geometry.json", [(256, 256)])[0].isocenter
    printed = [
        [0.897488, -0.223144, -0.380424, 120.286562],
        [0.126134, 0.9564, -0.26342, 31.26945],
        [0.422618, 0.188432, 0.886503, 13.192735],
    ]
    ours = rigid([12.0, -25.0, 8.0], [10.0, -30.0, 15.0], isocenter).matrix[:3]
    torch.testing.assert_close(ours, torch.tensor(printed, dtype=torch.float64), atol=1e-3, rtol=0)


def test_moving_the_patient_and_placing_the_c_arm_about_the_ct_are_the_same_view(pelvis, tmp_path):
    folder, volume = pelvis
    poses = np.load(folder / "calib_poses.npz")
    content = json.loads((folder / "geometry.json").read_text(encoding="utf-8"))
    vectors = ("source_ct", "detector_centre_ct", "u_ct", "v_ct")
    for n in (1, 6):
        moved = written(tmp_path / "M.json", {**content, "M": poses["M_target"][n].tolist()})
        params = written(tmp_path / "p.json", {**content, "params": poses["params_target"][n].tolist()})
        placed = {key: poses[key][n].tolist() for key in vectors if key in poses}
        around = {key: content[key] for key in ("pixel_mm", "field_mm", "source_detector_mm")} | placed
        by_m, by_params, by_vectors, by_both = (
            read_geometry(path, [(128, 128)])[0]
            for path in (
                moved,
                params,
                written(tmp_path / "v.json", around),
                written(tmp_path / "b.json", {**content, **placed}),
            )
        )
        torch.testing.assert_close(by_m.pose, by_params.pose, atol=1e-8, rtol=0)
        torch.testing.assert_close(by_m.pose, by_both.pose, atol=1e-5, rtol=0)
        assert by_vectors.pose is None
        images = [
            project(volume, torch.eye(4) if p.pose is None else p.pose, p.camera, 3.0)[0, 0] for p in (by_m, by_vectors)
        ]
        torch.testing.assert_close(*images, atol=2e-3, rtol=0)


def test_a_geometry_serves_every_size_of_the_detector(tmp_path):
    path = written(tmp_path / "g.json", FORM)
    for size in ((64, 64), (256, 256), (100, 50)):
        camera = read_geometry(path, [size])[0].camera
        assert camera.size == size and abs(camera.spacing[0]) * size[1] == pytest.approx(256)
        assert camera.distance == 1000 and camera.principal is None


def test_written_geometries_are_read_back(tmp_path):
    isocenter = torch.tensor([3.5, -20.0, 41.0], dtype=torch.float64)
    frontal = c_arm(isocenter, 1020.0, 620.0, (1.5, 1.2), (80, 100), (10.0, 5.0), offset=(12.0, -7.0))
    mirrored = Camera(frontal.distance, (-1.5, 1.2), (80, 100), frontal.pose, (20.5, 61.0))
    lateral = turned(frontal, isocenter, (90.0, 0.0))
    for cameras in ([frontal], [mirrored], [frontal, lateral, mirrored]):
        path = tmp_path / "views.json"
        write_geometry(path, cameras, isocenter)
        read = read_geometry(path, [c.size for c in cameras])
        assert all(same(a, b.camera) for a, b in zip(cameras, read, strict=True))
        torch.testing.assert_close(read[0].isocenter, isocenter)


@pytest.mark.parametrize("known", [{"source_detector_mm": 1000.0}, {"pixel_mm": {"64": 4.0}}])
def test_a_projection_matrix_is_a_geometry_for_every_size_of_the_image(tmp_path, known):
    source, middle = torch.tensor([[1.0, -598, 3], [1, 402, 3]], dtype=torch.float64)
    whole = Camera.from_detector(source, middle, (-1, 0, 0), (0, 0, -1), (4.0, 4.0), (48, 64))
    content = {"projection_matrix": (-2 * whole.projection_matrix).tolist(), "size_px": [48, 64], **known}
    content["isocentre_ct_mm"] = [1.0, 2.0, 3.0]  # seen before the source, whatever the sign of the matrix
    path = written(tmp_path / "matrix.json", content)
    for factor in (1, 2):
        found = read_geometry(path, [(48 // factor, 64 // factor)])[0]
        assert same(found.camera, whole.resized(factor)) and found.pose is None
    with pytest.raises(RegistrationError, match="cropped"):
        read_geometry(path, [(64, 64)])
    unscaled = written(tmp_path / "unscaled.json", {key: content[key] for key in ("projection_matrix", "size_px")})
    with pytest.raises(RegistrationError, match="pixel_mm"):
        read_geometry(unscaled, [(48, 64)])


def test_a_second_view_may_be_given_by_its_angles(tmp_path):
    path = written(tmp_path / "biplane.json", {**FORM, "views": [{}, {"positioner_angles_deg": [90, 0]}]})
    frontal, lateral = (p.camera for p in read_geometry(path, [(64, 64)] * 2))
    torch.testing.assert_close(lateral.source, torch.tensor([601.0, 2.0, 3.0], dtype=torch.float64))
    assert same(lateral, turned(frontal, torch.tensor(FORM["isocentre_ct_mm"]), (90.0, 0.0)))


@pytest.mark.parametrize(
    "content, words",
    [
        (without("pixel_mm", "field_mm"), ["pixel spacing", "(0018,1164)"]),
        (without("source_carm_minus_iso"), ["does not place the source"]),
        (without("isocentre_ct_mm"), ["isocentre_ct_mm"]),
        (without("u_column_direction"), ["u_column_direction"]),
        (without(source_detector_mm=900.0), ["contradicts itself", "900"]),
        (without(u_column_direction=[-1.0, 0, 0.4]), ["not perpendicular", "111.80"]),
        (without(source_detector_mm="1000 mm"), ["source_detector_mm", "1 finite"]),
        (without(source_detector_mm=[1000.0, 2.0]), ["source_detector_mm"]),
        (without(pixel_mm={"64": "four"}), ["pixel_mm"]),
        (without(M=[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [5, 6, 7, 1]]), ["last row", "transposed"]),
        (without(M=[[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), ["stretches"]),
        (without(size_px=[80, 64]), ["64 x 80", "cropped"]),
        (without(source_carm_minus_iso=[0, float("nan"), 0]), ["finite"]),
        (without(views=[{}, {}]), ["2 views for 1 X-ray"]),
        (without(views=3), ["no list of objects as views"]),
        (without(views=[3]), ["no list of objects as views"]),
        (without(params=[1, 2, 3]), ["params", "6"]),
        (without(params=[0, 0, 0, 5, 6, 7], M=torch.eye(4).tolist()), ["contradicts itself", "params"]),
        (without("field_mm", pixel_mm=-4.0), ["-4 x -4 mm", "u_column_direction"]),
        (without("field_mm", pixel_mm=[4.0, 0.0]), ["4 x 0 mm"]),
        (without(pixel_mm=2.0, field_mm=256.0), ["contradicts itself", "field_mm makes 4"]),
        (without(isocenter_ct_mm=[9, 9, 9]), ["isocenter_ct_mm", "write isocentre_ct_mm"]),
        (without("source_carm_minus_iso", source_ct=[0, 0, 0], positioner_angles_deg=[90, 0]), ["which they turn"]),
        (without(projection_matrix=[0] * 12, source_ct=[0, 0, 0]), ["places the source twice"]),
        ([1, 2], ["JSON object"]),
    ],
)
def test_files_that_are_no_geometry_are_refused_by_name(tmp_path, content, words):
    path = written(tmp_path / "bad.json", content)
    with pytest.raises(RegistrationError) as error:
        read_geometry(path, [(64, 64)])
    for word in ["bad.json", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_may_have_the_mark_that_windows_writes(tmp_path, encoding):
    (tmp_path / "marked.json").write_text(json.dumps(FORM), encoding=encoding)
    plain = read_geometry(written(tmp_path / "plain.json", FORM), [(64, 64)])[0]
    assert same(read_geometry(tmp_path / "marked.json", [(64, 64)])[0].camera, plain.camera)


def test_missing_and_broken_files_are_refused_by_name(tmp_path):
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "twice.json").write_text(json.dumps(FORM)[:-1] + ', "pixel_mm": 1.0}', encoding="utf-8")
    for name in ("broken.json", "missing.json", "twice.json states pixel_mm twice"):
        with pytest.raises(RegistrationError, match=name):
            read_geometry(tmp_path / name.split()[0], [(64, 64)])


def test_dicom_tags_make_the_c_arm():
    isocenter = torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64)
    camera = from_dicom(TAGS, (100, 200), isocenter)
    assert same(camera, c_arm(isocenter, 1000.0, 620.0, (0.4, 0.3), (100, 200), (30.0, -10.0)))
    magnified = {k: v for k, v in TAGS.items() if k != "0018|1111"} | {"0018|1114": str(1000 / 620)}
    assert same(camera, from_dicom(magnified, (100, 200), isocenter))


def test_a_dicom_file_brings_its_camera_about_the_center_of_the_ct(tmp_path):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.arange(40 * 60, dtype=np.uint16).reshape(40, 60))
    image.SetSpacing((0.4, 0.3))
    for tag, value in TAGS.items():
        image.SetMetaData(tag, value)
    sitk.WriteImage(image, str(tmp_path / "xray.dcm"))
    ct = Image(torch.zeros(1, 10, 12, 14), torch.diag(torch.tensor([2.0, 2.0, 3.0, 1.0], dtype=torch.float64)))
    (camera,), pose = read_cameras([], [read_xray(tmp_path / "xray.dcm")], ct)
    assert same(camera, c_arm(ct.center, 1000.0, 620.0, (0.4, 0.3), (40, 60), (30.0, -10.0))) and pose is None


def test_patient_orientation_mirrors_the_image():
    isocenter = torch.zeros(3, dtype=torch.float64)
    frontal = {**TAGS, "0018|1510": "0", "0018|1511": "0"}
    point = torch.tensor([30.0, 0.0, 20.0], dtype=torch.float64)
    usual, _ = from_dicom({**frontal, "0020|0020": "L\\F"}, (101, 101), isocenter).project(point)
    mirrored, _ = from_dicom({**frontal, "0020|0020": "R\\F"}, (101, 101), isocenter).project(point)
    assert usual[0] < 50 < mirrored[0] and usual[0] + mirrored[0] == pytest.approx(100)
    assert usual[1] == mirrored[1] < 50


def test_every_missing_tag_is_asked_for_by_name():
    with pytest.raises(RegistrationError) as error:
        from_dicom({"0018|1111": "620", "0018|5101": "PA"}, (100, 100), torch.zeros(3), "xray.dcm")
    text = str(error.value)
    assert "xray.dcm" in text and error.value.options == ("geometry",)
    assert "DistanceSourceToDetector (0018,1110)" in text and "ImagerPixelSpacing (0018,1164)" in text
    assert "DistanceSourceToPatient" not in text and "PositionerPrimaryAngle" not in text
    with pytest.raises(RegistrationError, match="PositionerPrimaryAngle .0018,1510."):
        from_dicom({k: v for k, v in TAGS.items() if k != "0018|1510"}, (100, 100), torch.zeros(3))
    with pytest.raises(RegistrationError, match="'wide'"):
        from_dicom({**TAGS, "0018|1110": "wide"}, (100, 100), torch.zeros(3))
