"""Words are run: every command of the README on the files that it names, every flag that a sentence or a help names."""

import contextlib
import glob
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from DiffRegLib.cli import VERBS, main
from DiffRegLib.methods import methods

ROOT = Path(__file__).resolve().parents[2]

PAGES = ("README.md", "CONTRIBUTING.md")
VERB_NAMES = [*VERBS, *(m.verb for m in methods())]
TRAINED = [m.name for m in methods() if m.train]
SMALL = {
    "phantom": ["--spacing", "4"],
    "splat": "--feature surface --points 400 --coarse-iterations 5 --fine-iterations 5 --adaptation 1".split(),
    "drr": ["--size", "64"],
    "pose": ["--no-search", "--optimizer", "none"],
    "neural": "--seconds 0.5 --regularized 16 --device cpu".split(),
    "train neural": "--iterations 1 --batch 1 --samples 500 --regularized 16 --width 16".split(),
    "train splatting": "--iterations 1 --batch 1 --grid 16 --trees 0 --blur 20 --device cpu".split(),
}
"""Flags that make a command affordable and leave its words as they are, by verb, or by verb and method."""
PAIRS = "fixed,moving\npatient/fixed_landmarks.csv,patient/moving_landmarks.csv\n"
"""A list of pairs of the reader's own."""
OWN = {
    "ct.nii.gz": "patient/fixed_ct.nii.gz",
    "fixed.nii.gz": "patient/fixed_ct.nii.gz",
    "moving.nii.gz": "patient/moving_ct.nii.gz",
    "scans/1.nii.gz": "patient/fixed_ct.nii.gz",
    "scans/2.nii.gz": "patient/moving_ct.nii.gz",
    "field.h5": "patient/transform.h5",
    "back.h5": "patient/inverse.h5",
    "f.csv": "patient/fixed_landmarks.csv",
    "m.csv": "patient/moving_landmarks.csv",
    "fl.nii.gz": "patient/fixed_labels.nii.gz",
    "ml.nii.gz": "patient/moving_labels.nii.gz",
    "cohort/a/result": "result",
    "cohort/b/result": "result",
}
"""Files of the reader's own, and what a reader would have there who has the phantom for a patient."""
SPOKEN = {"projective", "registration"}
"""Words behind "diffreg" that are no command: the names of a format."""
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


def test_every_command_of_the_readme_does_what_it_says(tmp_path, monkeypatch, in_process):
    monkeypatch.chdir(tmp_path)
    listed = commands("README.md")
    (tmp_path / "pairs.csv").write_text(PAIRS)
    small = {words[0] for words in listed} | {" ".join(words[:2]) for words in listed}
    assert small >= {"phantom", "warp", "info", "evaluate", "review", "mend", *SMALL}
    for words in listed:
        for name, source in OWN.items():
            if Path(source).exists() and not Path(name).exists():
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if Path(source).is_dir() else shutil.copy)(source, name)
        found = [path for word in words for path in (sorted(glob.glob(word)) if "*" in word else [word])]
        fewer = SMALL.get(" ".join(words[:2]), SMALL.get(words[0], []))
        code, said = diffreg([*found, *(fewer if "--help" not in words else [])])
        assert code == 0, f"diffreg {' '.join(words)}: {said}"
    outputs = {words[n + 1] for words in listed for n, word in enumerate(words) if word in ("-o", "--write-geometry")}
    assert outputs | {"patient"} <= {path.name for path in tmp_path.iterdir()}


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


def test_every_command_that_a_sentence_names_is_one():
    for file in sorted(path for room in ("DiffRegLib", "DiffReg") for path in (ROOT / room).rglob("*.py")):
        for verb, name in re.findall(r"\bdiffreg (train|[a-z]+)(?: ([a-z]+))?\b", file.read_text(encoding="utf-8")):
            if verb in SPOKEN:
                continue
            assert verb in VERB_NAMES, f"{file}: diffreg {verb}"
            assert verb != "train" or name in ("", "has", "made", *TRAINED), f"{file}: diffreg train {name}"


@pytest.mark.parametrize("page", ["README.md", "Testing/studies/README.md", "Testing/benchmarks/README.md"])
def test_every_script_that_a_page_names_is_there_with_its_flags(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"python (?:-m )?(Testing[\w./]*\w)([^`\n]*)", text)
    assert named
    for module, rest in named:
        file = ROOT / (module if module.endswith(".py") else module.replace(".", "/") + ".py")
        file = file if file.exists() else file.with_suffix("") / "__main__.py"
        script = file.read_text(encoding="utf-8")
        for flag in re.findall(r"--[a-z][a-z-]+", rest.split("#")[0]):
            assert f'"{flag}"' in script, f"{page}: {module} {flag}"


def test_every_verb_and_its_help_name_each_other(flags):
    code, said = diffreg(["--help"])
    assert code == 0
    for verb in VERB_NAMES:
        assert re.search(rf"^\s+{verb}\s", said, re.MULTILINE), verb
        for other in re.findall(r"`diffreg (\w+)", diffreg([verb, "--help"])[1]):
            assert other in VERB_NAMES, f"{verb} names {other}"
