"""The option `network`: a learned similarity leads, gradient NCC follows; in `register` and in `diffreg pose`."""

import json

import pytest
import torch

from DiffRegLib.camera import write_geometry
from DiffRegLib.cli import main
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_transform, write_image
from DiffRegLib.image import Image
from DiffRegLib.jobs.job import checksum
from DiffRegLib.methods.projective import PoseOptions, register
from DiffRegLib.methods.projective.network import SimilarityNetwork
from DiffRegLib.methods.projective.training_options import NetworkOptions
from DiffRegLib.methods.projective.weights import write_weights
from DiffRegLib.training.options import NETWORK
from DiffRegLib.transforms import Affine, rigid
from Testing.library.radiographed import CENTER, Radiograph, distance, patient, xray

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = {"voxel": 8.0, "detector": 24, "features": 2, "width": 4, "blocks": 1, "encoder_width": 4, "stages": 2}
START = rigid([2.0, 0.0, 3.0], [3.0, 4.0, -3.0], CENTER)
TRUTH = rigid([4.0, -3.0, 5.0], [6.0, 8.0, -5.0], CENTER)


@pytest.fixture(scope="module")
def ct():
    return patient()


def trained(folder, **shape):
    """A folder as `diffreg train` leaves it; untrained weights descend from near as well."""
    torch.manual_seed(0)
    folder.mkdir()
    write_weights(folder / NETWORK, SimilarityNetwork(NetworkOptions(**SHAPE, embedding=8, **shape)), {"steps": 0})
    return folder


def options(network, **more):
    values = {"levels": (64,), "optimizer": "lbfgs", "descent_iterations": 30, "tolerance": 0.0, **more}
    return PoseOptions(network=str(network), **values)


def test_register_lets_the_network_lead_and_gradient_ncc_follow(ct, tmp_path):
    chosen, seen = options(trained(tmp_path / "trained")), xray(ct, TRUTH)
    told = []
    found = register(ct, [seen], chosen, START, progress=lambda fraction, message, **details: told.append(details))
    led = [torch.tensor(d["pose"]).reshape(4, 4) for d in told if d.get("level") == 24]
    followed = [torch.tensor(d["pose"]).reshape(4, 4) for d in told if d.get("level") == 64]
    away = [distance(ct, Affine(pose), TRUTH) for pose in (led[0], led[-1], followed[-1])]
    assert away[0] > away[1] > 10 * away[2]  # a little training leads a little way, the images go all of the rest
    assert distance(ct, found.pose, TRUTH) == pytest.approx(away[2], abs=0.05) and away[2] < 0.2
    assert (found.verdict, found.appearance, found.polarity) == ("converged", "same", "positive")
    assert [row.level for row in found.trace] == sorted(row.level for row in found.trace)
    assert {row.level for row in found.trace} == {24, 64}  # the network's detector, then that of the images


def test_a_network_that_ends_far_away_is_not_believed(ct, tmp_path):
    start = rigid([30.0, 40.0, -25.0], [40.0, -20.0, 30.0], CENTER)
    found = register(
        ct, [xray(ct, TRUTH)], options(trained(tmp_path / "trained"), descent_iterations=3, search=False), start
    )
    assert distance(ct, found.pose, TRUTH) > 10
    assert found.verdict != "converged" and found.reason


def test_the_network_tells_which_polarity_it_knows(ct, tmp_path):
    seen = xray(ct, TRUTH)
    dark = Radiograph(-seen.image, seen.camera, kind="log")
    found = register(ct, [dark], options(trained(tmp_path / "trained")), START)
    assert found.polarity == "negative" and distance(ct, found.pose, TRUTH) < 1.5  # as of any other grey scale


@pytest.mark.parametrize("shape", [{"segmentation": True}, {"alone": True}])
def test_a_network_that_knows_the_organ_gets_it(ct, tmp_path, shape):
    chosen, seen = options(trained(tmp_path / "trained", **shape)), xray(ct, TRUTH)
    with pytest.raises(RegistrationError, match="with mask"):
        register(ct, [seen], chosen, START)
    with pytest.raises(RegistrationError, match="shape"):
        register(ct, [seen], chosen, START, segmentation=torch.ones(1, 2, 2, 2))
    found = register(ct, [seen], chosen, START, segmentation=(ct.data > 200).float())
    assert distance(ct, found.pose, TRUTH) < 0.5


def test_another_similarity_after_the_network_is_refused(ct, tmp_path):
    with pytest.raises(RegistrationError, match="similarity at auto"):
        register(ct, [xray(ct, TRUTH)], options(trained(tmp_path / "trained"), similarity="ncc"), START)


@pytest.fixture
def command(ct, tmp_path, in_process):
    seen = xray(ct, TRUTH)
    write_image(ct, tmp_path / "ct.nii.gz", "int16")
    write_image(Image((ct.data > 200).float(), ct.affine), tmp_path / "bones.nii.gz", "uint8")
    write_image(Image(seen.image[None, None], torch.eye(4)), tmp_path / "xray.nii.gz")
    write_geometry(tmp_path / "geometry.json", [seen.camera], CENTER)
    words = ["pose", tmp_path / "ct.nii.gz", tmp_path / "xray.nii.gz", "--geometry", tmp_path / "geometry.json"]
    words += ["--line-integrals", "--levels", 64, "--optimizer", "lbfgs", "--descent-iterations", 30]
    start = ["--start", 2, 0, 3, 3, 4, -3]
    return lambda *more: main([str(word) for word in (*words, "-o", tmp_path / "out", *start, *more)])


def test_the_command_takes_a_network_and_knows_its_bytes(ct, command, tmp_path):
    folder = trained(tmp_path / "trained")
    assert command("--network", folder) == 0
    assert distance(ct, read_transform(tmp_path / "out" / "transform.h5"), TRUTH) < 0.2
    job = json.loads((tmp_path / "out" / "job.json").read_text())
    used = {entry["role"]: entry["sha256"] for entry in job["inputs"]}
    assert used["network"] == checksum(str(folder / NETWORK))
    facts = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert facts["verdict"] == "converged" and facts["trace"][0]["level"] == 24


def test_the_command_refuses_what_is_no_network(command, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.safetensors").write_text("weights")
    organ = trained(tmp_path / "organ", segmentation=True)
    for path, word in (
        (tmp_path / "missing", "neither a file nor the name of known weights"),
        (tmp_path / "empty", "does not exist"),
        (tmp_path / "text.safetensors", "not readable as safetensors"),
        (organ, "--mask"),
    ):
        assert command("--network", path) == 2
        complaint = capsys.readouterr().err.strip()
        assert word in complaint and path.name in complaint and len(complaint.splitlines()) == 1
        assert not (tmp_path / "out").exists()
    assert command("--network", organ, "--mask", tmp_path / "bones.nii.gz", "--time-limit", 5) == 0
