"""What a registration is worth, in the lines that the Result section shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError


def read(result: Path) -> dict[str, Any]:
    """The measures of a finished job without the trace of every iteration; raises `RegistrationError`."""
    try:
        found = json.loads((result / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RegistrationError(_("The result of the registration is incomplete: press Apply again.")) from None
    trace = [row for row in found.pop("trace", []) if "similarity" in row]
    if trace:  # another stage minimizes another loss: its numbers are not comparable
        losses = [row["similarity"] for row in trace if row.get("stage") == trace[-1].get("stage")]
        found["similarity"] = {"before": losses[0], "after": losses[-1]}
    return found


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and text of every measure that there is: the error before and after first."""
    return [*_errors(found), *_deformation(found), *_effort(found)]


def _errors(found: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    if landmarks := found.get("landmarks"):
        before, after = landmarks["before_mm"], landmarks["after_mm"]
        text = _("{a:.2f} → {b:.2f} mm, largest {c:.1f} → {d:.1f} mm")
        values = {"a": before["mean"], "b": after["mean"], "c": before["max"], "d": after["max"]}
        title = _("Error of {count} landmarks").format(count=_share(landmarks))
        rows.append((title, text.format(**values)))
    if dice := found.get("dice"):
        text = _("{a:.3f} → {b:.3f} (mean of {count} labels)")
        rows.append((_("Dice overlap"), text.format(a=dice["before"], b=dice["after"], count=_share(dice))))
    if not rows and (loss := found.get("similarity")):
        text = _("{before:.4g} → {after:.4g} in the last stage (no landmarks or labels given)")
        rows.append((_("Loss"), text.format(**loss)))
    return rows


def _share(measure: dict[str, Any]) -> str:
    """Over how many the mean goes, and of how many where that is not all of them."""
    count, of = measure["count"], measure.get("of", measure["count"])
    return str(count) if count == of else _("{count} of {of}").format(count=count, of=of)


def _deformation(found: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(_("Folded voxels"), f"{found['folded_percent']:.3f} %")] if "folded_percent" in found else []
    if counted := found.get("folds_counted"):
        finest = min(counted["spacing_mm"])
        rows[-1:] = [(rows[-1][0], _("{text} (counted every {mm:.1f} mm)").format(text=rows[-1][1], mm=finest))]
    if support := found.get("support"):
        text = _("{percent:.0f} % of the fixed input, within {reach_mm:.0f} mm of data; beyond: {outside}")
        rows.append((_("Driven by data"), text.format(**support)))
    if determinant := found.get("jacobian_determinant"):
        text = _("{min:.2f} to {max:.2f} times the volume").format(**determinant)
        rows.append((_("Local change"), text))
    if found.get("inverse_residual_mm") is not None:
        rows.append((_("Inverse"), _("exact within {mm:.3f} mm").format(mm=found["inverse_residual_mm"])))
    return rows


def _effort(found: dict[str, Any]) -> list[tuple[str, str]]:
    notes = [(_("Note"), note) for note in found.get("notes", [])]
    return notes + ([(_("Run time"), f"{found['seconds']:.1f} s")] if found.get("seconds") is not None else [])


def as_html(found: dict[str, Any]) -> str:
    """A table for a label."""
    cells = "".join(f"<tr><td>{title}:&nbsp;&nbsp;</td><td>{text}</td></tr>" for title, text in lines(found))
    return f"<table>{cells}</table>"
