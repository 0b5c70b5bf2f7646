"""Lines of progress: what a reporter writes, what it leaves out, and what a parent reads of it."""

import pytest

from DiffRegLib.errors import Cancelled
from DiffRegLib.jobs import Event, parse
from DiffRegLib.jobs.progress import Reporter
from DiffRegLib.methods.registration import Part


def test_reporter_maps_parts_and_never_runs_backwards(tmp_path):
    with open(tmp_path / "out", "w") as output:
        report = Reporter(tmp_path / "progress.jsonl", output)
        part = Part(report, 0.2, 0.6)
        part(0.5, "half of the part")
        report(0.1, "earlier")
        report.close()
    fractions = [parse(line).fraction for line in (tmp_path / "out").read_text().splitlines()]
    assert fractions == [0.4, 0.4]


def test_reporter_thins_fast_iterations_but_keeps_stages(tmp_path):
    with open(tmp_path / "out", "w") as output:
        report = Reporter(tmp_path / "progress.jsonl", output)
        for i in range(500):
            report(i / 500, "fast", iteration=i, loss=float("nan"))
        report(1.0, "last stage")
        report.close()
    events = [parse(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert len(events) < 100 and events[-1].message == "last stage"
    assert events[0].loss is None


def test_the_last_pose_of_a_phase_is_never_thinned_away(tmp_path):
    poses = [tuple(float(n == 3) * i for n in range(16)) for i in range(500)]
    with open(tmp_path / "out", "w") as output:
        report = Reporter(tmp_path / "progress.jsonl", output)
        for phase in ("coarse", "fine"):
            for i, pose in enumerate(poses):
                Part(report, 0.0, 0.9)(0.5, phase, level=64, iteration=i, loss=1.0, pose=pose)
        report.error("The job was canceled.")
        report.close()
    events = [parse(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert len(events) < 200 and events[-1].error
    for phase in ("coarse", "fine"):
        own = [event for event in events if event.message == phase]
        assert own[-1].pose == poses[-1] and own[-1].iteration == 499
    times = [event.time for event in events[:-1]]
    assert times == sorted(times)


def test_a_pose_that_json_cannot_hold_is_left_out(tmp_path):
    with open(tmp_path / "out", "w") as output:
        report = Reporter(tmp_path / "progress.jsonl", output)
        report(0.5, "lost", pose=[float("nan")] * 16)
        report.close()
    assert parse((tmp_path / "out").read_text()).pose is None


def test_reporter_told_to_stop_raises(tmp_path):
    with open(tmp_path / "out", "w") as output:
        report = Reporter(tmp_path / "progress.jsonl", output)
        report.stop.set()
        with pytest.raises(Cancelled):
            report(0.5, "too late")
        report.close()


def test_lines_of_others_are_no_events():
    for line in ("", "hello", "[1]", "3", "{}", '{"other": 1}', b"\xff\xfe"):
        assert parse(line) is None
    assert Event(time=10, fraction=0.25).seconds_left() == pytest.approx(30)
    assert Event().seconds_left() is None
