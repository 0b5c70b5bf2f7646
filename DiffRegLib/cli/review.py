"""`diffreg review RESULT... -o report.html`: one HTML file that says whether registrations can be trusted."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input, kind_of
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import given as given_options
from DiffRegLib.review.limits import LimitOptions, check_limits, read_limits, write_limits

if TYPE_CHECKING:
    from DiffRegLib.review.assess import Review
    from DiffRegLib.review.case import Case

ROLES = {
    "fixed": (("image", "labels", "surface", "points"), "fixed image, label map, surface or cloud"),
    "moving": (("image", "labels", "surface", "points"), "moving side, of the same kind"),
    "inverse": (("transform", "image"), "its inverse (moving -> fixed)"),
    "fixed_landmarks": (("points",), "landmarks of the fixed side, RAS mm"),
    "moving_landmarks": (("points",), "landmarks of the moving side"),
    "fixed_labels": (("labels",), "label map of the fixed side"),
    "moving_labels": (("labels",), "label map of the moving side"),
    "fixed_mask": (("labels",), "where the registration looked, on the fixed side"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    parser.description = (
        "Review registrations: what the transform does and where it folds, what supports it, how large its errors are "
        "against limits. Writes one HTML file with everything in it, to be read, judged and printed in a browser."
    )
    parser.add_argument("results", metavar="RESULT", nargs="*", help="result folders of any method")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="HTML file to write")
    group = parser.add_argument_group("a result of any other tool, by its files; with one RESULT, what it lacks")
    group.add_argument("--transform", metavar="FILE", help="transform (fixed -> moving) of any tool (.h5 .tfm .nii.gz)")
    for role, (_, text) in ROLES.items():
        group.add_argument(f"--{role.replace('_', '-')}", metavar="FILE", help=text)
    text = "transforms of repeats of the same registration from perturbed starts: their spread is mapped"
    group.add_argument("--repeats", metavar="FILE", nargs="+", default=[], help=text)
    text = "register RESULT so often again, with other seeds, and map how far the results differ"
    group.add_argument("--again", metavar="N", type=int, default=0, help=text)
    group.add_argument("--use-inverse", action="store_true", help="review the transform the other way round")
    group = parser.add_argument_group("report")
    text = "folder for the numbers as JSON and the maps (of a pose: pictures) too, for other programs; of one case"
    group.add_argument("--maps", metavar="FOLDER", help=text)
    group.add_argument("--title", default="", help="heading of the report")
    group.add_argument("--names", action="store_true", help="tell names of files and folders, which may name patients")
    group.add_argument("--overwrite", action="store_true", help="replace OUT once the new file is there")
    group.add_argument("--limits", metavar="FILE", help="limits to judge by (default: your own, else AAPM TG-132)")
    group.add_argument("--save-limits", action="store_true", help="keep the limits of this call as your own")
    add_options(parser, LimitOptions, "limits")


def run(given: argparse.Namespace) -> int:
    """Reviews the cases one after the other and writes the report."""
    _check(given)
    limits = _limits(given)
    target = Path(os.path.abspath(given.out))
    if target.exists() and not given.overwrite:
        raise RegistrationError(f"{target} exists: choose another name for -o, or replace it with --overwrite.")
    from DiffRegLib.cli.workspace import put, workspace
    from DiffRegLib.review.page import write_report

    reviews = [_review(case, limits) for case in _cases(given)]
    with workspace(target) as space:
        made = space / target.name
        write_report(reviews, made, given.title)
        put(made, target, space)
    if given.maps:
        _write_maps(reviews[0], Path(os.path.abspath(given.maps)))
    _show(reviews)
    print(f"Wrote {target}.")
    return 0


def _write_maps(review: Review, folder: Path) -> None:
    from DiffRegLib.cli.workspace import put, workspace
    from DiffRegLib.review.poses import PoseReview
    from DiffRegLib.review.stored import write_pose_review, write_review

    with workspace(folder) as space:
        made = space / folder.name
        made.mkdir()
        (write_pose_review if isinstance(review, PoseReview) else write_review)(review, made)
        put(made, folder, space)


def _check(given: argparse.Namespace) -> None:
    if not given.results and not given.transform:
        raise RegistrationError(
            "Nothing is named to be reviewed: give a result folder, or --transform with its images."
        )
    if given.results and given.transform:
        raise RegistrationError("A result folder has its own transform: give either RESULT or --transform.")
    extra = [role for role in ROLES if getattr(given, role)]
    if len(given.results) > 1 and (extra or given.repeats):
        raise RegistrationError(
            f"--{(extra or ['repeats'])[0].replace('_', '-')} belongs to one case: name one RESULT."
        )
    if given.again < 0 or (given.again and len(given.results) != 1):
        raise RegistrationError(
            "--again takes a number of repeats and one RESULT: a file does not say how it was made."
        )
    for path in given.results:
        if kind_of(path) != "result":
            raise RegistrationError(f"{path} is no result folder: give its file with --transform.")
    if given.transform:
        check_input(given.transform, ("transform", "image", "result"), "--transform")
    for role in extra:
        check_input(getattr(given, role), ROLES[role][0], f"--{role.replace('_', '-')}")
    from DiffRegLib.jobs.cases import is_pose

    if given.again and is_pose(given.results[0]):
        raise RegistrationError("A pose states its own uncertainty: leave --again out.")
    if given.maps and len(given.results) > 1:
        raise RegistrationError("--maps belongs to one case: name one RESULT.")
    if given.use_inverse and any(is_pose(path) for path in given.results):
        raise RegistrationError("A pose has no direction to be turned: leave --use-inverse out.")
    if given.maps and os.path.exists(given.maps) and not given.overwrite:
        raise RegistrationError(f"{given.maps} exists: choose another folder, or replace it with --overwrite.")
    if not given.out.lower().endswith((".html", ".htm")):
        raise RegistrationError(f"{given.out} is not named as a web page: give -o a name that ends in .html.")


def _limits(given: argparse.Namespace) -> LimitOptions:
    limits = read_limits(Path(given.limits) if given.limits else None)
    limits = check_limits(dataclasses.replace(limits, **given_options(LimitOptions, given)))
    if given.save_limits:
        print(f"Saved the limits in {write_limits(limits)}.")
    return limits


def _cases(given: argparse.Namespace) -> list[Case]:
    from DiffRegLib.jobs.cases import case_of_files, case_of_result, is_pose, pose_of_result

    paths = {role: getattr(given, role) for role in ROLES if getattr(given, role)}
    if given.transform:
        name = Path(given.transform).name if given.names else "registration"
        cases = [case_of_files(name, {"transform": given.transform, **paths}, tuple(given.repeats), given.names)]
    else:
        cases = []
        for n, folder in enumerate(given.results, 1):
            name = _name(folder) if given.names else f"case {n}"
            print(f"{name}: {folder}", flush=True)
            if is_pose(folder):
                cases.append(pose_of_result(folder, name, given.names))
            else:
                case = case_of_result(folder, name, given.names, paths)
                cases.append(_repeated(case, folder, given))
    return [_turned(case) for case in cases] if given.use_inverse else cases


def _repeated(case: Case, folder: str, given: argparse.Namespace) -> Case:
    """The case with the transforms of its repeats: those that were given, and those that are made now."""
    from DiffRegLib.files import read_transform
    from DiffRegLib.jobs.job import read_job
    from DiffRegLib.jobs.repeats import again

    repeats = tuple(read_transform(path) for path in given.repeats)
    if given.again:
        repeats += again(read_job(folder), given.again, lambda sentence: print(sentence, flush=True))
    return dataclasses.replace(case, repeats=(case.transform, *repeats) if repeats else ())


def _name(folder: str) -> str:
    """The name of the folder that tells one case from another: `result` alone does not."""
    path = Path(os.path.abspath(folder))
    return path.parent.name if path.name == "result" else path.name


def _turned(case: Case) -> Case:
    inverse = case.inverse if case.inverse is not None else case.transform.inverse(case.frame())
    return dataclasses.replace(case, transform=inverse, inverse=case.transform)


def _review(case: Case, limits: LimitOptions) -> Review:
    from DiffRegLib.review.assess import assess
    from DiffRegLib.review.poses import PoseCase, review_pose

    if isinstance(case, PoseCase):
        return review_pose(case)
    try:
        return assess(case, limits)
    except RegistrationError as error:
        raise RegistrationError(f"{case.name}: {error}") from None


def _show(reviews: list[Review]) -> None:
    """A table of the cases with what decides."""
    from DiffRegLib.cli.show import table
    from DiffRegLib.review.page.html import WORDS

    keys = ("landmarks_mean", "dice", "surface", "folded", "inverse_mean", "pose_point", "pose_depth")
    shown = [key for key in keys if any(review.score(key) for review in reviews)]
    titles = [next(r.score(key).title for r in reviews if r.score(key)) for key in shown]
    rows = []
    for review in reviews:
        scores = [review.score(key) for key in shown]
        rows.append(
            (review.case.name, WORDS[review.light], *(f"{s.after:.{s.digits}f} {s.unit}" if s else "" for s in scores))
        )
    table("Review", ("case", "as a whole", *titles), rows)
    for review in reviews:
        for finding in getattr(review, "findings", ()):
            print(f"  {review.case.name}: {finding.sentence}")
