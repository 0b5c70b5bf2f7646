"""Words are run: every command of the README on the files that it names, every flag that a sentence or a help names."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from DiffRegLib.cli import VERBS, _parser, main
from DiffRegLib.methods import methods

ROOT = Path(__file__).resolve().parents[2]

PAGES = ("README.md", "CONTRIBUTING.md")
VERB_NAMES = [*VERBS, *(m.verb for m in methods())]
TRAINED = [m.name for m in methods() if m.train]
SMALL = {
    "phantom": ["--spacing", "4"],
    "splat": [
        "--feature",
        "surface",
        "--points",
        "400",
        "--coarse-iterations",
        "5",
        "--fine-iterations",
        "5",
        "--device",
        "cpu",
    ],
    "drr": ["--size", "64"],
    "pose": ["--no-search", "--optimizer", "none"],
}
"""Flags that make a command affordable and leave its words as they are."""
OWN = {"fixed.nii.gz", "scans/*.nii.gz", "field.h5", "cohort/*/result", "f.csv"}
"""Files of the reader's own: commands that name them are read, and not run."""
OTHERS = {"--attached", "--temporary"}
"""Flags of the worker, which no person calls."""


def diffreg(words: list[str]) -> tuple[int, str]:
    """The exit code of a command, run in this process, and what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main(words)
        except SystemExit as end:  # after --help
            code = int(end.code or 0)
    return code, said.getvalue()


def commands(page: str) -> list[list[str]]:
    """The commands that begin with `diffreg` in the fenced blocks of a page, in their order, without comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.strip().startswith("diffreg ")]


@pytest.fixture(scope="module")
def flags() -> dict[str, set[str]]:
    """The flags of each verb, as its help lists them; of `train` those of all that is trained."""
    found = {verb: set(re.findall(r"--[a-z][a-z-]+", diffreg([verb, "--help"])[1])) for verb in VERB_NAMES}
    for name in TRAINED:
        found["train"] |= set(re.findall(r"--[a-z][a-z-]+", diffreg(["train", name, "--help"])[1]))
    return found


def test_every_command_of_the_readme_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed = commands("README.md")
    assert {words[0] for words in listed} >= {"phantom", "splat", "warp", "info", "evaluate", "drr", "pose"}
    for words in listed:
        if OWN & set(words):
            assert _parser(words).parse_args(words).run, words
            continue
        if "ct.nii.gz" in words and not Path("ct.nii.gz").exists():
            shutil.copy("patient/fixed_ct.nii.gz", "ct.nii.gz")  # the reader's own
        code, said = diffreg([*words, *(SMALL.get(words[0], []) if "--help" not in words else [])])
        assert code == 0, f"diffreg {' '.join(words)}: {said}"
    made = {"patient", "result", "warped.nii.gz", "xray.png", "geometry.json", "pose", "placed.nii.gz"}
    assert made <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_the_text_of_a_page_exists(page, flags):
    text = (ROOT / page).read_text(encoding="utf-8")
    for command in re.findall(r"`diffreg ([^`]+)`", text):
        verb, *rest = command.split()
        assert verb in VERB_NAMES, command
        assert set(re.findall(r"--[a-z][a-z-]+", command)) <= flags[verb], command
        if verb == "train" and rest:
            assert rest[0] in TRAINED, command


def test_every_flag_that_a_help_or_a_sentence_names_is_one(flags):
    known = set().union(*flags.values()) | {"--version"} | OTHERS
    for file in sorted((ROOT / "DiffRegLib").rglob("*.py")):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", file.read_text(encoding="utf-8")))
        assert {f for f in named - known if f.replace("--no-", "--") not in known} == set(), file


def test_every_verb_and_its_help_name_each_other(flags):
    code, said = diffreg(["--help"])
    assert code == 0
    for verb in VERB_NAMES:
        assert re.search(rf"^\s+{verb}\s", said, re.MULTILINE), verb
        for other in re.findall(r"`diffreg (\w+)", diffreg([verb, "--help"])[1]):
            assert other in VERB_NAMES, f"{verb} names {other}"
