"""Labels stay what they are: numbers of any size, layers and names of segments, and what says that they are labels."""

import gzip
import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import matched_labels, open_file, renumbered
from DiffRegLib.points import CloudOptions
from DiffRegLib.points.extract import cloud_of
from DiffRegLib.transforms import Affine, write_transform
from Testing.library.test_cli_files import diffreg

SHAPE = (12, 18, 16)


def blocks(dtype, *values) -> np.ndarray:
    data = np.zeros(SHAPE, dtype)
    for n, value in enumerate(values):
        data[2:10, 3:15, 1 + 5 * n : 5 + 5 * n] = value
    return data


def write(path, data, spacing=(2.0, 2.0, 2.0)):
    image = sitk.GetImageFromArray(data)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def segmentation(path, layers, segments):
    """A .seg.nrrd as Slicer writes it; layers: arrays (D, H, W); segments: (name, layer, value)."""
    several = len(layers) > 1
    data = np.stack(layers, -1) if several else layers[0]
    sizes = " ".join(map(str, data.shape[::-1]))
    lines = ["NRRD0004", "type: unsigned char", f"dimension: {3 + several}", "space: left-posterior-superior"]
    lines += [f"sizes: {sizes}", f"space directions: {'none ' * several}(2,0,0) (0,2,0) (0,0,2)"]
    lines += [f"kinds: {'list ' * several}domain domain domain", "encoding: gzip", "space origin: (0,0,0)"]
    for n, (name, layer, value) in enumerate(segments):
        tags = {"ID": f"Segment_{n}", "Name": name, "Layer": layer, "LabelValue": value, "Color": f"0.{n} 0.5 0.5"}
        lines += [f"Segment{n}_{key}:={text}" for key, text in tags.items()]
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + gzip.compress(data.astype(np.uint8).tobytes()))
    return path


@pytest.fixture
def shift(tmp_path):
    write_transform(Affine.translation(torch.tensor([2.0, -4.0, 2.0], dtype=torch.float64)), tmp_path / "t.tfm")
    return tmp_path / "t.tfm"


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("uint8", (1, 255)),
        ("int16", (-1, 9)),
        ("int32", (2**24 + 1, 614454277)),
        ("uint32", (4294967295, 2**24 + 1)),
        ("int64", (2**40 + 1, 7)),
        ("uint64", (2**52 + 1, 3)),  # SimpleITK, with which it is compared, counts in doubles
    ],
)
def test_every_number_survives_a_warp_in_its_own_type(tmp_path, shift, name, dtype, values):
    data = blocks(dtype, *values)
    write(tmp_path / name, data)
    out = tmp_path / f"w_{name}"
    diffreg("warp", tmp_path / name, shift, "-o", out, "--like", tmp_path / name)
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(out)))
    assert found.dtype == data.dtype and set(np.unique(found).tolist()) == set(np.unique(data).tolist())
    moved = sitk.Resample(
        sitk.ReadImage(str(tmp_path / name)), sitk.ReadTransform(str(shift)), sitk.sitkNearestNeighbor, 0.0
    )
    assert np.array_equal(found, sitk.GetArrayFromImage(moved))


def _single(data):
    data[:] = 0
    data[2::4, 9, 8] = np.arange(1, 4)
    return data


@pytest.mark.parametrize(
    ("make", "labels"),
    [
        (lambda: blocks(np.uint8, 1, 2), True),
        (lambda: blocks(np.float32, 1, 2), True),
        (lambda: blocks(np.int16, -1, 9), True),
        (lambda: np.zeros(SHAPE, np.uint8), True),
        (lambda: _single(np.zeros(SHAPE, np.int16)), True),
        (lambda: np.arange(6 * 9 * 8).reshape(6, 9, 8).repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.int32), True),
        (lambda: np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8), False),
        (lambda: np.random.default_rng(0).integers(-1000, 500, SHAPE).astype(np.int16), False),
        (lambda: blocks(np.float32, 0.5, 1.0), False),
    ],
)
def test_a_guess_from_content_is_told_and_the_user_decides(tmp_path, shift, make, labels):
    data = make()
    path = write(tmp_path / "a.nii.gz", data)
    opened = open_file(path)
    assert opened.kind == ("labels" if labels else "image")
    air, broken = (data < -500).any(), (data != np.rint(data)).any()
    assert bool(opened.guess) == (not air and not broken)
    said = diffreg("warp", path, shift, "-o", tmp_path / "w.nii.gz", "--like", path)
    assert ("--interpolation" in said) == bool(opened.guess)
    said = diffreg("warp", path, shift, "-o", tmp_path / "w.nii.gz", "--overwrite", "--interpolation", "linear")
    assert "taken for" not in said


def test_a_file_that_says_that_it_holds_labels_is_believed(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, SHAPE[::-1]).astype(np.uint8)
    image = nibabel.Nifti1Image(noise, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header["intent_code"] = 1002
    nibabel.save(image, tmp_path / "a.nii.gz")
    opened = open_file(tmp_path / "a.nii.gz")
    assert opened.kind == "labels" and opened.evidence == "file" and not opened.guess
    assert open_file(tmp_path / "a.nii.gz", ("image",)).kind == "image"  # where only an image is wanted


def test_scaled_numbers_are_labels_after_the_scaling(tmp_path):
    image = nibabel.Nifti1Image(blocks(np.int16, 1, 2).T, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_slope_inter(2.0, 0.0)
    image.to_filename(tmp_path / "a.nii.gz")
    raw = bytearray(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()))
    raw[112:116], raw[116:120] = np.float32(2.0).tobytes(), np.float32(1.0).tobytes()
    (tmp_path / "b.nii").write_bytes(raw)
    stored = nibabel.load(tmp_path / "b.nii")
    labels = open_file(tmp_path / "b.nii", ("labels",)).content
    assert set(labels.data.unique().tolist()) == set(np.unique(stored.get_fdata()).tolist())


def test_broken_numbers_are_no_labels(tmp_path):
    path = write(tmp_path / "p.nii.gz", blocks(np.float32, 0.25, 0.75))
    with pytest.raises(RegistrationError, match="no whole numbers"):
        open_file(path, ("labels",))


LAYERS = (blocks(np.uint8, 1, 0, 0) | blocks(np.uint8, 1, 1, 1), blocks(np.uint8, 2, 1, 0))
NAMED = (("body", 0, 1), ("liver", 1, 1), ("spleen", 1, 2))


def test_segments_are_read_by_name_and_layer_and_written_back(tmp_path, shift):
    path = segmentation(tmp_path / "a.seg.nrrd", LAYERS, NAMED)
    opened = open_file(path)
    assert opened.kind == "labels" and opened.evidence == "file" and opened.content.channels == 2
    assert [(s.name, s.layer, s.value) for s in opened.segments] == list(NAMED)
    diffreg("warp", path, shift, "-o", tmp_path / "w.seg.nrrd", "--like", path)
    back = open_file(tmp_path / "w.seg.nrrd")
    assert [(s.name, s.layer, s.value) for s in back.segments] == list(NAMED)
    assert [s.tags["Color"] for s in back.segments] == [s.tags["Color"] for s in opened.segments]
    header = (tmp_path / "w.seg.nrrd").read_bytes().split(b"\n\n")[0]
    assert b"kinds: list domain domain domain" in header
    moved = opened.content.resample(opened.content, Affine.translation(torch.tensor([2.0, -4.0, 2.0])), "nearest")
    assert torch.equal(back.content.data, moved.data)
    said = diffreg("warp", path, shift, "-o", tmp_path / "w.nii.gz", code=2)
    assert ".seg.nrrd" in said


def test_slicer_reads_our_segmentation_with_its_names(tmp_path, shift):
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    path = segmentation(tmp_path / "a.seg.nrrd", LAYERS, NAMED)
    diffreg("warp", path, shift, "-o", tmp_path / "w.seg.nrrd", "--like", path)
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "w.seg.nrrd"))
    assert storage.ReadData(node)
    content = node.GetSegmentation()
    names = [content.GetSegment(i).GetName() for i in content.GetSegmentIDs()]
    assert names == [name for name, _, _ in NAMED] and content.GetNumberOfLayers() == 2


def test_structures_are_matched_by_name_whatever_their_numbers(tmp_path):
    fixed = open_file(segmentation(tmp_path / "f.seg.nrrd", LAYERS, NAMED))
    single = blocks(np.uint8, 7, 5, 0)
    moving = open_file(segmentation(tmp_path / "m.seg.nrrd", (single,), (("spleen", 0, 7), ("liver", 0, 5))))
    maps = matched_labels(fixed, moving)
    assert maps.by == "name" and maps.lone == (("body",), ()) and "body" in maps.note
    number = {name: value for value, name in maps.names.items()}
    for name, old in (("spleen", 7), ("liver", 5)):
        assert torch.equal(maps.moving.data == number[name], torch.from_numpy(single[None] == old))
    sides = renumbered(fixed, moving)
    clouds = [cloud_of(side.content, CloudOptions(points_per_label=200)) for side in sides]
    shared = set(clouds[0].labels) & set(clouds[1].labels)
    assert shared == {number["spleen"], number["liver"]}


def test_evaluate_of_segmentations_names_what_it_compares_and_where(tmp_path):
    write_transform(Affine.identity(), tmp_path / "id.tfm")
    fixed = segmentation(tmp_path / "f.seg.nrrd", LAYERS, NAMED)
    other = segmentation(tmp_path / "m.seg.nrrd", (blocks(np.uint8, 7, 5, 0),), (("spleen", 0, 7), ("liver", 0, 5)))
    flags = ["--fixed-labels", fixed, "--moving-labels", other]
    found = json.loads(diffreg("evaluate", tmp_path / "id.tfm", *flags, "--json"))["dice"]
    assert found["labels"].keys() == {"liver", "spleen"} and found["only_fixed"] == ["body"]
    assert (found["count"], found["of"]) == (2, 3) and found["after"] == pytest.approx(1.0)
    assert len(found["box_ras_mm"]) == 2
    text = diffreg("evaluate", tmp_path / "id.tfm", *flags)
    assert "mean of 2 of 3 labels" in text and "only on the fixed side: body" in text


def test_a_number_that_means_two_things_is_refused(tmp_path):
    fixed = open_file(segmentation(tmp_path / "f.seg.nrrd", LAYERS, NAMED))
    plain = open_file(write(tmp_path / "m.nii.gz", blocks(np.uint8, 1, 2)))
    with pytest.raises(RegistrationError, match="body and liver are both 1"):
        matched_labels(fixed, plain)
    twice = open_file(segmentation(tmp_path / "t.seg.nrrd", LAYERS, (("a", 0, 1), ("a", 1, 1))))
    with pytest.raises(RegistrationError, match="'a' twice"):
        matched_labels(twice, twice)


def test_labels_that_one_side_lacks_are_named(tmp_path):
    write_transform(Affine.identity(), tmp_path / "id.tfm")
    fixed, moving = (write(tmp_path / f"{n}.nii.gz", blocks(np.uint8, *v)) for n, v in (("f", (1, 33)), ("m", (1, 77))))
    flags = ["--fixed-labels", fixed, "--moving-labels", moving]
    found = json.loads(diffreg("evaluate", tmp_path / "id.tfm", *flags, "--json"))["dice"]
    assert found["only_fixed"] == ["33"] and found["only_moving"] == ["77"] and found["after"] == 1.0
    text = diffreg("evaluate", tmp_path / "id.tfm", *flags)
    assert "mean of 1 of 3 labels" in text and "fixed side: 33" in text and "moving side: 77" in text
