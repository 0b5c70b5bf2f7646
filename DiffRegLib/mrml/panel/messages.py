"""What is wrong, in the words of the panel: options and inputs as their widgets are labeled, files as their nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.export import Exported, in_node_names


def words(error: RegistrationError, labels: Mapping[str, str] | None = None, exported: Iterable[Exported] = ()) -> str:
    """The sentence of an error for the person at a panel.

    labels: of options and inputs that the panel does not simply call by their names. exported: the nodes whose files
    the sentence may name.
    """
    named = labels or {}
    sentence = error.worded(option=lambda name: named.get(name, label_of(name)))
    return in_node_names(sentence, exported)


def label_of(name: str) -> str:
    """What a panel calls an option or an input by that name: `fixed_mask` is the Fixed mask."""
    return _(name.replace("_", " ").capitalize())
