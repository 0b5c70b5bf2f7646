"""What the slice views show: both images compared, a map, folds and veil, the transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import composed, layout, show
from DiffRegLib.mrml.show_transform import hide_transform, show_transform
from RegistrationReviewLib.parameters import Compare, Look, Map

MAP_OPACITY, MARK_OPACITY = 0.6, 0.6
VEIL, FOLD = (0.3, 0.2, 0.0), (1.0, 0.0, 0.0)
COLORS = {Map.MAGNITUDE: "viridis", Map.DETERMINANT: "RdBu_r", Map.INVERSE_ERROR: "magma"}
COLORS |= {Map.DISTANCE: "cividis", Map.SIMILARITY: "PiYG", Map.SPREAD: "magma"}
STOPS = 5  # words of a legend
LAYOUTS = (Compare.SIDE_BY_SIDE, Compare.THREE_BY_THREE)
"""Comparisons with views of their own."""


class Comparing:
    """Brings the views in line with the settings; what it makes for it goes again with `leave`."""

    def __init__(self) -> None:
        self.curtain: composed.Curtain | None = None
        self._before: int | None = None  # the layout that ours has replaced
        self._shown: tuple[Any, ...] | None = None

    def update(self, parameters: Any, over: Any = None) -> None:
        """Shows what the settings say, where something has changed. over: a first look, in place of the warped."""
        state = self._state(parameters, over)
        if state == self._shown or parameters.fixed is None:
            return
        self._shown = state
        self._clean(parameters)
        moving = over if over is not None else moving_of(parameters)
        shown = map_of(parameters)
        if shown is not None:
            self._dress_map(parameters)
        if parameters.compare in LAYOUTS:
            self._lay_out(parameters, moving, shown)
        elif shown is not None:
            show.blend(slicer.mrmlScene, parameters.fixed, shown, MAP_OPACITY)
        else:
            self._compare(parameters, moving)
        self._show_marks(parameters)

    def _state(self, parameters: Any, over: Any) -> tuple[Any, ...]:
        nodes = [parameters.getValue(role) for role in ("fixed", "moving", "warped", "start", "marks")]
        settings = [parameters.getValue(n) for n in ("compare", "overlay_opacity", "tile", "before", "map")]
        times = [node.GetImageData().GetMTime() if node and node.GetImageData() else 0 for node in nodes]
        return *nodes, *settings, *times, parameters.show_folds, parameters.show_veil, over, parameters.review

    def leave(self, parameters: Any) -> None:
        """The views and the scene are left as a user would have them."""
        self._shown = None
        self._clean(parameters)
        if parameters is not None and parameters.fixed is not None:
            show.blend(slicer.mrmlScene, parameters.fixed, moving_of(parameters), parameters.overlay_opacity)

    def _clean(self, parameters: Any) -> None:
        self.curtain = None
        composed.clear(slicer.mrmlScene)
        composed.alpha_blending()
        stays = parameters is not None and parameters.compare in LAYOUTS
        if self._before is not None and not stays:
            layout.restore(slicer.mrmlScene, self._before)
            self._before = None

    def _compare(self, parameters: Any, moving: Any) -> None:
        fixed, mode = parameters.fixed, parameters.compare
        if moving is None or mode is Compare.FIXED:
            show.blend(slicer.mrmlScene, fixed, None)
        elif mode is Compare.BLEND:
            show.blend(slicer.mrmlScene, fixed, moving, parameters.overlay_opacity)
        else:
            self._compose(parameters, fixed, moving, mode)

    def _lay_out(self, parameters: Any, moving: Any, shown: Any) -> None:
        """Views of their own; shown: a map, in place of what lies over the fixed image."""
        fixed = parameters.fixed
        if parameters.compare is Compare.SIDE_BY_SIDE:
            before = layout.side_by_side(slicer.mrmlScene, fixed, moving)
            if shown is not None:
                show.blend(slicer.mrmlScene, fixed, shown, MAP_OPACITY)
        else:
            over = (moving, parameters.overlay_opacity) if shown is None else (shown, MAP_OPACITY)
            before = layout.three_by_three(slicer.mrmlScene, fixed, moving, *over)
        self._before = self._before if layout.is_ours(before) else before

    def _compose(self, parameters: Any, fixed: Any, moving: Any, mode: Compare) -> None:
        if mode is Compare.RED_CYAN:
            composed.show_red_cyan(fixed, moving)
        elif mode is Compare.DIFFERENCE:
            composed.show_difference(fixed, moving)
        elif mode is Compare.CURTAIN:
            self.curtain = composed.Curtain(fixed, moving)
        else:
            composed.show_checkerboard(fixed, moving, parameters.tile)

    def _dress_map(self, parameters: Any) -> None:
        volume = map_of(parameters)
        low, high = limits_of(parameters)
        table = composed.color_table(parameters.map.value, lambda t: colors_of(parameters.map, t, low, high))
        display = volume.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(low, high)
        display.SetAndObserveColorNodeID(table.GetID())

    def _show_marks(self, parameters: Any) -> None:
        """Folds in red and the veil, in the layer of labels."""
        wanted = parameters.show_folds or parameters.show_veil
        node = parameters.marks if wanted else None
        if node is not None:
            opacity = (0.0, float(parameters.show_veil), float(parameters.show_folds))
            table = composed.color_table("Marks", lambda t: np.array([(0, 0, 0), VEIL, FOLD]), opacity)
            node.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
        for composite in show.composites(slicer.mrmlScene):
            composite.SetLabelVolumeID(node.GetID() if node is not None else None)
            composite.SetLabelOpacity(MARK_OPACITY)


def moving_of(parameters: Any) -> Any:
    """What is compared with the fixed image: the moving one after registration, or before."""
    before = parameters.start if parameters.start is not None else parameters.moving
    return before if parameters.before else parameters.warped


def map_of(parameters: Any) -> Any:
    return None if parameters.map is Map.NOTHING else parameters.getValue(parameters.map.name.lower())


def limits_of(parameters: Any) -> tuple[float, float]:
    """The ends of the color scale of the map."""
    if parameters.map is Map.SIMILARITY:
        return -1.0, 1.0
    values = slicer.util.arrayFromVolume(map_of(parameters)).ravel()
    values = values[:: max(1, len(values) // 200_000)]
    if parameters.map is Map.DETERMINANT:
        reach = float(np.clip(np.quantile(np.abs(np.log2(np.maximum(values, 1e-3))), 0.995), 0.2, 3.0))
        return 2.0**-reach, 2.0**reach
    return 0.0, max(float(np.quantile(values, 0.998)), 1e-3)


def colors_of(shown: Map, places: np.ndarray, low: float, high: float) -> np.ndarray:
    """(N, 4) colors at places in [0, 1] between the ends; of the determinant by its logarithm."""
    from matplotlib import colormaps

    if shown is Map.DETERMINANT:
        values = np.log2(low + places * (high - low))
        places = (values - np.log2(low)) / (np.log2(high) - np.log2(low))
    return colormaps[COLORS[shown]](places)


def legend(parameters: Any) -> str:
    """The colors of the map with their values, as a table for a label."""
    if map_of(parameters) is None:
        return ""
    low, high = limits_of(parameters)
    unit = {Map.DETERMINANT: "\N{MULTIPLICATION SIGN}", Map.SIMILARITY: ""}.get(parameters.map, " mm")
    cells = []
    values = np.linspace(low, high, STOPS)
    if parameters.map is Map.DETERMINANT:
        values = np.exp2(np.linspace(np.log2(low), np.log2(high), STOPS))
    for value in values:
        place = (value - low) / (high - low)
        red, green, blue, _alpha = (int(255 * c) for c in colors_of(parameters.map, np.array([place]), low, high)[0])
        ink = "#000" if red + green + blue > 380 else "#fff"
        style = f'bgcolor="#{red:02x}{green:02x}{blue:02x}"'
        cells.append(f'<td {style}><font color="{ink}">&nbsp;{value:.3g}{unit}&nbsp;</font></td>')
    return f"<table><tr>{''.join(cells)}</tr></table>"


def show_look(parameters: Any) -> None:
    """Draws the transform by Slicer's own display, sized by the field."""
    if parameters.transform is None:
        return
    if parameters.look is Look.NOTHING or parameters.fixed is None:
        hide_transform(parameters.transform)
        return
    levels = ()
    if parameters.magnitude is not None:
        top = float(slicer.util.arrayFromVolume(parameters.magnitude).max())
        levels = tuple(top * share for share in (0.2, 0.4, 0.6, 0.8)) if top > 0 else ()
    try:
        show_transform(parameters.transform, parameters.look.name.lower(), parameters.fixed, levels=levels)
    except RegistrationError:
        hide_transform(parameters.transform)
