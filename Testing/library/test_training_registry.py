"""Weights by name: from a folder, or from an address that is checked; their card; and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

import pytest
import torch

from DiffRegLib.cli import main
from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.projective.weights import read_weights
from DiffRegLib.methods.splatting.weights import read_network
from DiffRegLib.methods.supervoxels.model import read_model
from DiffRegLib.training import registry
from DiffRegLib.training.card import Card, put_card, read_card
from DiffRegLib.training.registry import find_weights, known_weights
from DiffRegLib.training.tensors import read_tensors, write_tensors

CARD = Card(
    name="toy",
    method="splatting",
    summary="Leads nothing anywhere.",
    data="random numbers",
    command="diffreg train splatting -o toy",
    seed=0,
    scores={"random numbers": "none"},
    license="Apache-2.0",
    intended_use="tests",
    hours="0",
    machine="one core",
    version="0.1.0",
)


@pytest.fixture
def weights(tmp_path):
    """A file of weights somewhere."""
    (tmp_path / "made").mkdir()
    path = tmp_path / "made" / "network.safetensors"
    write_tensors(path, {"x": torch.arange(3.0)}, {"network": {}}, "a toy")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of one's own, and a cache that is empty; writes the list."""
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv(registry.OWN, str(own))
    monkeypatch.setattr(registry, "CACHE", tmp_path / "cache")

    def listing(**entries):
        (own / registry.INDEX).write_text(json.dumps(entries))
        return own

    return listing


@pytest.mark.parametrize("name", ["lung-vessels", "pelvis-example", "abdomen-example"])
def test_what_ships_is_read_by_its_method_and_has_its_card(name):
    known = known_weights()[name]
    card = read_card(known.path)
    assert card.name == name and card.method == known.method and known.title
    assert known.path.with_suffix(".md").read_text("utf-8") == card.text()
    reading = {
        "splatting": read_network,
        "projective": lambda path: read_weights(path)[0],
        "supervoxel": lambda name: read_model(find_weights(name)).network,
    }
    network = reading[known.method](name)
    assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_a_file_is_itself(weights):
    assert find_weights(str(weights)) == str(weights)


def test_a_name_is_a_file_of_the_folder(weights, folder):
    own = folder(toy={"method": "splatting", "title": "a toy", "file": "toy.safetensors"})
    (own / "toy.safetensors").write_bytes(weights.read_bytes())
    assert find_weights("toy") == str(own / "toy.safetensors")
    assert "toy" in known_weights("splatting") and "toy" not in known_weights("projective")
    with pytest.raises(RegistrationError, match="neither a file nor the name of known weights .*toy"):
        find_weights("tow")


def test_an_address_is_asked_for_checked_and_kept(weights, folder):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    folder(far={"method": "splatting", "title": "far away", "url": weights.as_uri(), "sha256": digest})
    with pytest.raises(RegistrationError, match="diffreg weights far"):
        find_weights("far")
    asked = []
    with pytest.raises(RegistrationError, match="not on this machine"):
        find_weights("far", lambda sentence: bool(asked.append(sentence)))
    assert asked == [f"Download the weights far from {weights.as_uri()}?"]
    path = find_weights("far", lambda _: True)
    assert torch.equal(read_tensors(registry.Path(path), "a toy")[0]["x"], torch.arange(3.0))
    weights.unlink()
    assert find_weights("far") == path  # from now on without asking


def test_another_content_is_not_kept(weights, folder):
    folder(far={"method": "splatting", "title": "far away", "url": weights.as_uri(), "sha256": 64 * "0"})
    with pytest.raises(RegistrationError, match="does not have the SHA-256"):
        find_weights("far", lambda _: True)
    assert not list(registry.CACHE.iterdir())


def test_a_list_that_tells_no_file_is_refused(folder):
    folder(half={"method": "splatting", "title": "no digest", "url": "https://example.org/x"})
    with pytest.raises(RegistrationError, match="tells no file of half, nor url and sha256"):
        known_weights()


def test_the_card_goes_with_the_weights(weights, tmp_path):
    assert read_card(weights) is None
    put_card(weights, CARD, tmp_path / "toy.safetensors")
    assert read_card(tmp_path / "toy.safetensors") == CARD
    assert torch.equal(read_tensors(tmp_path / "toy.safetensors", "a toy")[0]["x"], torch.arange(3.0))
    text = (tmp_path / "toy.md").read_text()
    assert all(str(value) in text for value in (CARD.data, CARD.command, CARD.license, CARD.intended_use, CARD.version))


def test_a_card_without_a_license_is_none():
    with pytest.raises(RegistrationError, match="lacks license"):
        replace(CARD, license="")


def test_the_command_lists_shows_and_publishes(weights, folder, tmp_path, capsys):
    own = folder(toy={"method": "splatting", "title": "a toy", "file": "toy.safetensors"})
    (tmp_path / "card.json").write_text(json.dumps(asdict(CARD)))
    target = own / "toy.safetensors"
    assert main(["weights", str(weights), "--card", str(tmp_path / "card.json"), "-o", str(target)]) == 0
    assert main(["weights"]) == 0 and "toy" in capsys.readouterr().out
    assert main(["weights", "toy"]) == 0 and "Leads nothing anywhere." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["weights.pt", "weights.ckpt", "weights"])
def test_a_pickle_is_refused_whatever_it_is_called(name, tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(RegistrationError, match="is a pickle, which runs what its author wrote"):
        read_tensors(tmp_path / name, "a toy")
