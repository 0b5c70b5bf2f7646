"""What a job says of itself: its inputs by role, what makes two jobs the same work, and what is no job."""

import re

import pytest

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs import make_job, read_job
from DiffRegLib.jobs.inputs import open_inputs
from DiffRegLib.jobs.job import checksum, describe
from DiffRegLib.methods.method import Input, Method


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"schema": 1}', '{"schema": 99}', '{"schema": 1, "method": "x", "inputs": 3}']
)
def test_damaged_job_is_one_sentence(tmp_path, content):
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(RegistrationError, match="job.json"):
        read_job(tmp_path)


def test_missing_input_is_named(tmp_path):
    with pytest.raises(RegistrationError, match="nothing.csv does not exist"):
        make_job(tmp_path / "job", "test", {"fixed": tmp_path / "nothing.csv"}, {})
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("role", ["fixed_1", "fixed_mask"])
def test_an_input_that_the_method_does_not_take_is_refused(tmp_path, role):
    fixed = tmp_path / "a.csv"
    fixed.write_text("x,y,z\n1,2,3\n")
    taken = Method("test", "test", "Test", "test a job", {}, (Input("fixed", ("table",), "any file"),), "nowhere:run")
    words = f"Test takes no {role.replace('_', ' ')}: leave {fixed} out."
    with pytest.raises(RegistrationError, match=re.escape(words)) as caught:
        open_inputs(describe("test", {"fixed": fixed, role: fixed}, {}), taken)
    assert caught.value.path == str(fixed)


def test_same_work_is_recognized_by_content_not_by_name(tmp_path):
    for name, text in {"a.csv": "1", "b.csv": "1", "c.csv": "2"}.items():
        (tmp_path / name).write_text(text)
    a, b, c = (describe("test", {"fixed": tmp_path / n}, {"o": {"k": (1, 2)}}) for n in ("a.csv", "b.csv", "c.csv"))
    assert a.same_work(b) and not a.same_work(c)
    assert not a.same_work(describe("test", {"fixed": tmp_path / "a.csv"}, {"o": {"k": (1, 3)}}))
    assert not a.same_work(describe("test", {"moving": tmp_path / "a.csv"}, {"o": {"k": (1, 2)}}))


def test_archive_key_is_part_of_the_path(tmp_path):
    archive = tmp_path / "clouds.npz"
    archive.write_bytes(b"123")
    job = describe("test", {"fixed": f"{archive}:insp", "moving": f"{archive}:exp"}, {})
    assert job.path("fixed") == f"{archive}:insp"
    assert job.inputs[0].sha256 == job.inputs[1].sha256 == checksum(str(archive))
    swapped = describe("test", {"fixed": f"{archive}:exp", "moving": f"{archive}:insp"}, {})
    assert not job.same_work(swapped)
