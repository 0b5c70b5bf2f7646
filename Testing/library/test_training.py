"""The training that all methods share: it goes on exactly, ends early, and is one training on several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.training.checkpoint import TRACE, read_checkpoint
from DiffRegLib.training.learner import Learner
from DiffRegLib.training.options import CHECKPOINT, NETWORK, RunOptions
from DiffRegLib.training.tensors import read_tensors, write_tensors
from DiffRegLib.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]
RUN = RunOptions(device="cpu", checkpoint=4)
SCRIPT = """
import sys
from pathlib import Path
from DiffRegLib.training.options import RunOptions
from DiffRegLib.training.trainer import train
from Testing.library.test_training import Line

devices, batch, iterations, folder = *map(int, sys.argv[1:4]), Path(sys.argv[4])
folder.mkdir(exist_ok=True)
options = RunOptions(device="cpu", checkpoint=4, devices=devices)
train(Line(iterations, batch), options, folder, {}, resume="resume" in sys.argv)
"""


class Line(Learner):
    """Learns y = 2 x + 1 through a layer that drops half of its inputs, from points with noise."""

    def __init__(self, iterations=12, batch=4, seed=0, rate=1e-2, dropout=0.0, held_out=None):
        super().__init__(iterations, batch, seed, clip=1.0)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.layers = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))
        self._rate, self._held_out = rate, held_out

    def forward(self, samples):
        x = torch.stack([torch.rand(1, generator=self.draws(n)) for n in samples])
        return {"loss": (self.layers(x) - 2 * x - 1).square().mean()}

    def optimizer(self):
        return torch.optim.Adam(self.parameters(), lr=self._rate)

    def validation(self):
        return None if self._held_out is None else self._held_out(self)

    def identity(self):
        return {"training": {"seed": self.seed, "batch": self.batch}, "data": {"line": 2}}

    def write(self, path, facts):
        write_tensors(path, self.state_dict(), facts, "a line")


def weights(folder):
    return read_tensors(folder / NETWORK, "a line")[0]


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def made(folder):
    folder.mkdir()
    return folder


def test_a_line_is_learned(tmp_path):
    learner = Line(iterations=300, rate=0.03)
    means = train(learner, RUN, tmp_path, {"data": "a line"})
    x = torch.tensor([[0.25], [0.75]])
    assert torch.allclose(learner.layers(x), 2 * x + 1, atol=0.02) and means["loss"] < 0.01
    _, facts = read_tensors(tmp_path / NETWORK, "a line")
    assert facts["data"] == "a line" and facts["steps"] == 300


def test_what_drops_out_is_the_same_when_it_goes_on(tmp_path):
    whole, half = made(tmp_path / "whole"), made(tmp_path / "half")
    train(Line(dropout=0.5), RUN, whole, {})
    train(Line(iterations=8, dropout=0.5), RUN, half, {})
    train(Line(dropout=0.5), RUN, half, {}, resume=True)
    assert_equal(weights(whole), weights(half))


def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(tmp_path):
    """Killed without a warning, wherever it is; what it has written is whole."""
    whole, killed = made(tmp_path / "whole"), tmp_path / "killed"
    train(Line(iterations=1000), RUN, whole, {})
    command = [sys.executable, "-c", SCRIPT, "1", "4", "1000", str(killed)]
    process = subprocess.Popen(command, cwd=ROOT)
    while process.poll() is None and not (killed / CHECKPOINT).is_file():
        time.sleep(0.005)
    time.sleep(0.2 * torch.rand(()).item())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len((killed / TRACE).read_text().splitlines()) - 1 < 1000
    train(Line(iterations=1000), RUN, killed, {}, resume=True)
    assert_equal(weights(whole), weights(killed))
    assert (whole / TRACE).read_text() == (killed / TRACE).read_text()


def test_two_processes_are_one_with_twice_the_batch(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script, "2", "3", "12", tmp_path / "two"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    train(Line(batch=6), RUN, made(tmp_path / "one"), {})
    curves = [
        torch.tensor(
            [[float(v) for v in line.split(",")] for line in (tmp_path / name / TRACE).read_text().split()[1:]]
        )
        for name in ("one", "two")
    ]
    assert len(curves[0]) == 12
    torch.testing.assert_close(*curves, rtol=1e-5, atol=0)
    for one, other in zip(weights(tmp_path / "one").values(), weights(tmp_path / "two").values()):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_it_ends_when_validation_gets_worse_and_keeps_the_best(tmp_path):
    """A validation that wants small weights is at its best at the beginning, while the line is learned away from it."""
    seen = []

    def held_out(learner):
        seen.append({name: t.clone() for name, t in learner.state_dict().items()})
        return float(len(seen)) if len(seen) != 2 else 0.0

    patient = RunOptions(device="cpu", checkpoint=4, patience=3)
    train(Line(iterations=100, held_out=held_out), patient, tmp_path, {})
    assert len(seen) == 5  # the second is the best, and three more did not beat it
    assert_equal(weights(tmp_path), seen[1])
    _, facts = read_tensors(tmp_path / NETWORK, "a line")
    assert facts["steps"] == 20 and facts["validation"] == 0.0
    names, *rows = [line.split(",") for line in (tmp_path / TRACE).read_text().split()]
    found = {int(row[0]): float(row[-1]) for row in rows if row[-1] != "nan"}
    assert names[-1] == "validation" and found == {4: 1.0, 8: 0.0, 12: 3.0, 16: 4.0, 20: 5.0}


def test_patience_goes_on_where_it_was(tmp_path):
    patient = RunOptions(device="cpu", checkpoint=4, patience=3)
    train(Line(iterations=8, held_out=lambda _: 1.0), patient, tmp_path, {})
    train(Line(iterations=100, held_out=lambda _: 1.0), patient, tmp_path, {}, resume=True)
    assert read_tensors(tmp_path / NETWORK, "a line")[1]["steps"] == 16


def test_half_precision_learns_as_well(tmp_path):
    means = train(Line(iterations=300, rate=0.03), RunOptions(device="cpu", precision="bf16"), tmp_path, {})
    assert means["loss"] < 0.01
    assert {t.dtype for t in weights(tmp_path).values()} == {torch.float32}


def test_curves_are_written_for_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(Line(), RunOptions(device="cpu", tensorboard=True), tmp_path, {})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [float(line.split(",")[1]) for line in (tmp_path / TRACE).read_text().split()[1:]]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(losses)


def test_another_training_is_refused(tmp_path):
    train(Line(), RUN, tmp_path, {})
    with pytest.raises(RegistrationError, match="seed 0, not 1"):
        read_checkpoint(tmp_path, Line(seed=1).identity())
    with pytest.raises(RegistrationError, match="other line"):
        read_checkpoint(tmp_path, {"data": {"line": 3}})


def test_a_loss_that_is_no_number_ends_it(tmp_path):
    with pytest.raises(RegistrationError, match="lower learning rate"):
        train(Line(rate=1e20), RUN, tmp_path, {})


def test_without_the_framework_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(RegistrationError, match=r'pip install "diffreg\[train\]"'):
        train(Line(), RUN, tmp_path, {})
