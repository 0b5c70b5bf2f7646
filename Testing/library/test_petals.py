"""The notebook of the petals, run from top to bottom with fewer steps: what it tells of itself holds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import matplotlib
import pytest
import torch

from DiffRegLib.phantom.petals import petal_pair

NOTEBOOK = Path(__file__).resolve().parents[1] / "studies" / "petals.ipynb"


def test_rows_of_a_pair_correspond():
    """Petal meets petal: turned back by the angle between both sides, each row lies in one direction from the axis."""
    fixed, moving = petal_pair(torch.Generator().manual_seed(5), 500)
    turns = torch.atan2(moving[:, 1], moving[:, 0]) - torch.atan2(fixed[:, 1], fixed[:, 0])
    turns = torch.remainder(turns + math.pi, 2 * math.pi) - math.pi
    assert float(turns.std()) < 1e-3 and abs(float(turns.mean())) < math.pi / 3 / 2
    heights = [side[:, 2] / side.norm(dim=1) for side in (fixed, moving)]
    torch.testing.assert_close(*heights, rtol=0, atol=1e-5)


def test_the_notebook_learns_without_an_answer(one_thread, monkeypatch):
    """Unseen pairs come nearer, and the way there and back ends within 0.2 mm."""
    monkeypatch.setenv("PETAL_STEPS", "60")
    backend = matplotlib.get_backend()
    matplotlib.use("Agg")
    try:
        names: dict = {}
        for cell in json.loads(NOTEBOOK.read_text())["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
        assert names["after"] < 0.8 * names["before"] and names["back"] < 0.2
        assert names["before"] > 8
    finally:
        names["plt"].close("all")
        matplotlib.use(backend)


def test_a_notebook_holds_no_outputs():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_pair_is_the_same_for_the_same_seed(seed):
    pairs = [petal_pair(torch.Generator().manual_seed(seed), 10)[1] for _ in range(2)]
    assert torch.equal(*pairs)
