"""A run that is over is forgotten, however it ended: nothing that Qt holds keeps it, its plan or its process."""

import gc
import os
import signal
import weakref

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.panels import splat_panel as splat  # noqa: E402


def _finish(host, panel):
    splat.finish(host, panel)
    assert panel.ui.statusLabel.text == ""


def _cancel(host, panel):
    splat.working(host, panel)
    host.click(panel.ui.applyButton)


def _cancel_at_once(host, panel):
    host.click(panel.ui.applyButton)


def _kill(host, panel):
    splat.working(host, panel)
    os.kill(panel.runner.run.process_id, signal.SIGKILL)
    splat.finish(host, panel)
    assert "ended from outside" in panel.ui.statusLabel.text


@pytest.mark.parametrize("end", [_finish, _cancel, _cancel_at_once, _kill])
def test_nothing_of_a_run_is_left_after_its_end(host, end):
    panel = splat.open_panel(host)
    splat.choose_points(panel)
    panel.ui.applyButton.click()
    kept = {"run": panel.runner.run, "plan": panel.runner.run._plan, "timer": panel.runner.run._timer}
    if end is not _cancel_at_once:
        host.wait_until(lambda: panel.runner.run._process, splat.SECONDS, "the worker")
        worker = panel.runner.run._process
        kept |= {"worker": worker, "program": worker._program, "process": worker._program._process}
        del worker
    alive = {name: weakref.ref(thing) for name, thing in kept.items()}
    kept.clear()
    end(host, panel)
    host.process(50)
    gc.collect()
    assert [name for name, thing in alive.items() if thing() is not None] == []


def test_a_sample_that_was_made_or_failed_is_forgotten(host, monkeypatch, tmp_path):
    """The end of a program comes in a signal of its process, which must outlive that signal."""
    import sys

    from DiffRegLib.mrml.panel import sample_maker

    monkeypatch.setattr(sample_maker.packages, "ensure", lambda requester: None)
    monkeypatch.setattr(sample_maker, "command", lambda code: [sys.executable, "-c", *code])
    loaded = []
    for codes in ([["pass"], ["print(1)"]], [["raise SystemExit(3)"]]):
        maker = sample_maker.Maker("A sample", lambda folder, codes=codes: codes, loaded.append)
        alive = [weakref.ref(maker), weakref.ref(maker._program)]
        del maker
        host.wait_until(lambda: not sample_maker.Maker.running, 60, "the sample")
        host.process(50)
        gc.collect()
        assert [ref() for ref in alive] == [None, None]
    assert len(loaded) == 1 and not loaded[0].exists()
    assert [shown.kind for shown in host.dialogs.shown] == ["critical"]


def test_a_sample_whose_program_does_not_start_is_told(host, monkeypatch):
    from DiffRegLib.mrml.panel import sample_maker

    monkeypatch.setattr(sample_maker.packages, "ensure", lambda requester: None)
    monkeypatch.setattr(sample_maker, "python_program", lambda: "/nowhere/PythonSlicer")
    sample_maker.Maker("A sample", lambda folder: [["phantom", str(folder)]], lambda folder: None)
    host.wait_until(lambda: not sample_maker.Maker.running, 60, "the failure")
    assert "/nowhere/PythonSlicer did not start" in host.dialogs.shown[-1].text
