"""Registration Review in the host: numbers and maps of a known motion, what the views show, mending, bad input."""

import json
import time

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.panels import review_panel  # noqa: E402
from Testing.panels.review_panel import SHIFT, parameters  # noqa: E402


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The scene of a finished review of a transform that is 3 mm off and folds; made when it is first needed."""
    return tmp_path_factory.mktemp("review") / "reviewed.mrb"


@pytest.fixture
def reviewed(host, saved):
    panel = review_panel.open_panel(host)
    if saved.exists():
        host.load_scene(saved)
        host.process(100)
        return panel
    review_panel.case(panel, error=(0.0, 3.0, 0.0), folds=True)
    review_panel.review(host, panel)
    assert panel.ui.statusLabel.text == ""
    host.save_scene(saved)
    return panel


def facts(panel):
    return json.loads(parameters(panel).review)


def score(panel, key):
    return next(s for s in facts(panel)["scores"] if s["key"] == key)


def texts(table):
    return [[table.item(r, c).text() for c in range(table.columnCount)] for r in range(table.rowCount)]


def test_numbers_are_those_of_the_known_error(host, reviewed):
    assert score(reviewed, "landmarks_mean")["before"] == pytest.approx(8.0, abs=0.01)
    assert score(reviewed, "landmarks_mean")["after"] == pytest.approx(3.0, abs=0.3)
    assert score(reviewed, "folded")["light"] == "red" and len(facts(reviewed)["regions"]) == 1
    rows = texts(reviewed.ui.numbersTable)
    assert rows[0][1] == "landmark error, mean" and rows[0][3].endswith("mm")
    assert "not acceptable" in reviewed.ui.findingsLabel.text
    assert "supported within" in reviewed.ui.trustLabel.text


def test_maps_come_as_volumes_and_a_legend_tells_their_colors(host, reviewed):
    from RegistrationReviewLib.parameters import Map

    determinant = slicer.util.arrayFromVolume(parameters(reviewed).determinant)
    assert np.median(determinant) == pytest.approx(1.0, abs=1e-3) and determinant.min() < 0
    parameters(reviewed).show_folds = False
    host.process(50)
    without = host.pixels("Red").astype(int)
    parameters(reviewed).map = Map.MAGNITUDE
    host.process(50)
    assert np.abs(host.pixels("Red").astype(int) - without).max(-1).mean() > 5
    assert "mm" in reviewed.ui.legendLabel.text and "bgcolor" in reviewed.ui.legendLabel.text


def test_folds_are_red_and_a_click_on_a_region_jumps_there(host, reviewed):
    reviewed.ui.regionsTable.cellClicked.emit(0, 0)
    host.process(50)
    assert reviewed.ui.regionsTable.isVisible() and reviewed.ui.regionsTable.rowCount == 1
    place = facts(reviewed)["regions"][0]["deepest"]
    column, row = host.pixel_of("Red", place)
    red, green, blue = (int(v) for v in host.pixels("Red")[row, column][:3])
    assert red > green + 60 and red > blue + 60
    parameters(reviewed).show_folds = False
    host.process(50)
    red, green, blue = (int(v) for v in host.pixels("Red")[row, column][:3])
    assert abs(red - green) < 20


def test_each_comparison_shows_another_picture_within_200_ms_and_leaves_nothing(host, reviewed):
    from RegistrationReviewLib.parameters import Compare

    parameters(reviewed).show_folds = False
    host.process(50)
    before = _volumes()
    pictures = {}
    for mode in (Compare.FIXED, Compare.RED_CYAN, Compare.CHECKERBOARD, Compare.CURTAIN, Compare.DIFFERENCE):
        begin = time.process_time()
        parameters(reviewed).compare = mode
        assert time.process_time() - begin < 0.2
        host.process(50)
        pictures[mode] = host.pixels("Red").astype(int)
    for mode in list(pictures)[1:]:
        assert np.abs(pictures[mode] - pictures[Compare.FIXED]).max() > 10, mode
    colors = pictures[Compare.RED_CYAN]
    assert np.abs(colors[..., 0] - colors[..., 1]).max() > 10
    parameters(reviewed).compare = Compare.BLEND
    host.process(50)
    assert _volumes() == before


def test_nine_views_show_both_images_and_what_lies_over_the_fixed_one(host, reviewed):
    from RegistrationReviewLib.parameters import Compare, Map

    parameters(reviewed).show_folds = False
    layout = host.app.layoutManager().layout
    parameters(reviewed).compare = Compare.THREE_BY_THREE
    host.process(100)
    seen = {name: host.pixels(f"DiffReg{name}Coronal").astype(int) for name in ("Fixed", "Moving", "Both")}
    assert all((picture.max(-1) > 20).mean() > 0.3 for picture in seen.values()), "a view is not fitted"
    both = seen["Both"][20:-20, 20:-20]
    mixed = (seen["Fixed"] + seen["Moving"])[20:-20, 20:-20] / 2
    assert np.abs(both - mixed).mean() < 3  # at an opacity of one half
    parameters(reviewed).map = Map.MAGNITUDE
    host.process(50)
    assert np.array_equal(host.pixels("DiffRegFixedCoronal").astype(int), seen["Fixed"])
    assert np.abs(host.pixels("DiffRegBothCoronal").astype(int) - seen["Both"]).max(-1).mean() > 5
    parameters(reviewed).compare = Compare.BLEND
    host.process(50)
    assert host.app.layoutManager().layout == layout


def _volumes():
    """How many volumes and displays of volumes there are."""
    classes = ("vtkMRMLVolumeNode", "vtkMRMLVolumeDisplayNode")
    return [slicer.mrmlScene.GetNumberOfNodesByClass(name) for name in classes]


def test_before_and_after_are_at_one_key_and_flicker_alternates(host, reviewed):
    parameters(reviewed).overlay_opacity, parameters(reviewed).show_folds = 1.0, False
    host.process(50)
    after = host.pixels("Red").astype(int)
    reviewed.onBeforeKey()
    host.process(50)
    assert parameters(reviewed).before and np.abs(host.pixels("Red").astype(int) - after).max() > 20
    reviewed.onBeforeKey()
    host.click(reviewed.ui.flickerButton)
    host.wait_until(lambda: parameters(reviewed).before, what="the flicker")
    host.click(reviewed.ui.flickerButton)
    assert not parameters(reviewed).before and not reviewed.flicker.flickers


def test_a_pair_mends_the_transform_there_and_is_undone(host, reviewed):
    from DiffRegLib.mrml import arrays
    from DiffRegLib.mrml.transforms import from_world
    from RegistrationReviewLib.mending import pair_nodes

    reviewed.ui.mendCollapsibleButton.collapsed = False
    fixed, moving = pair_nodes(parameters(reviewed))
    place = np.array([10.0, -20.0, 5.0])
    fixed.AddControlPoint(*place)
    moving.AddControlPoint(*(place + SHIFT))
    assert reviewed.firstLook is not None
    host.wait_until(lambda: not reviewed.mending.working, review_panel.SECONDS, "the whole of the mended image")
    mended = parameters(reviewed).mended
    found = arrays.map_points(from_world(mended), place[None])[0]
    assert np.linalg.norm(found - place - SHIFT) < 0.1
    far = np.array([[60.0, 60.0, 60.0]])
    same = arrays.map_points(from_world(parameters(reviewed).transform), far)
    assert np.allclose(arrays.map_points(from_world(mended), far), same, atol=1e-3)
    back = arrays.map_points(from_world(parameters(reviewed).mended_inverse), (place + SHIFT)[None])[0]
    assert np.linalg.norm(back - place) < 0.5
    assert "1 pairs, met within" in reviewed.ui.mendLabel.text
    host.click(reviewed.ui.undoButton)
    assert fixed.GetNumberOfControlPoints() == moving.GetNumberOfControlPoints() == 0
    assert reviewed.ui.mendLabel.text == "" and reviewed.firstLook is None
    fixed.AddControlPoint(*place)
    begin = time.process_time()
    moving.AddControlPoint(*(place + SHIFT))
    assert reviewed.firstLook is not None and time.process_time() - begin < 0.3


def test_two_clicks_are_a_pair_that_mends_what_is_seen_beside_them(host, reviewed):
    from DiffRegLib.mrml import show

    layout, place = host.app.layoutManager().layout, np.array([12.0, -16.0, 6.0])
    reviewed.ui.mendCollapsibleButton.collapsed = False
    host.click(reviewed.ui.placeButton)
    host.process(200)
    host.view("DiffRegFixed").mrmlSliceNode().SetSliceOffset(place[2])
    host.process(20)
    host.mouse.click("DiffRegFixed", tuple(place))
    fixed, moving = parameters(reviewed).pairs_fixed, parameters(reviewed).pairs_moving
    placed = slicer.util.arrayFromMarkupsControlPoints(fixed)
    assert placed.shape == (1, 3) and np.abs(placed[0] - place).max() < 1.0  # a pixel of the view
    shown = host.view("DiffRegMoving").mrmlSliceNode().GetSliceToRAS()
    middle = np.array([shown.GetElement(row, 3) for row in range(3)])
    assert np.abs(middle - placed[0] - SHIFT - (0.0, 3.0, 0.0)).max() < 0.5, "jumps to the expected place"
    host.process(20)
    begin = time.process_time()
    host.mouse.click("DiffRegMoving", tuple(placed[0] + SHIFT))
    assert time.process_time() - begin < 0.3 and moving.GetNumberOfDefinedControlPoints() == 1
    both = show.composites(slicer.mrmlScene, ["DiffRegBoth"])[0]
    assert both.GetForegroundVolumeID() == reviewed.firstLook.GetID()
    host.wait_until(lambda: not reviewed.mending.working, review_panel.SECONDS, "the whole of the mended image")
    assert both.GetForegroundVolumeID() == parameters(reviewed).warped.GetID()
    host.click(reviewed.ui.placeButton)
    host.process(50)
    assert host.app.layoutManager().layout == layout


def test_contradicting_pairs_are_refused_in_the_panel(host, reviewed):
    from RegistrationReviewLib.mending import pair_nodes

    fixed, moving = pair_nodes(parameters(reviewed))
    for offset in ((0.0, 0, 0), (6.0, 0, 0)):
        place = np.array(offset)
        fixed.AddControlPoint(*place)
        moving.AddControlPoint(*(SHIFT + (6.0, 0, 0) - place))
    host.process(50)
    assert "contradict each other" in reviewed.ui.mendLabel.text


def test_report_is_saved_as_one_file_and_without_folds_there_is_no_table_of_them(host, tmp_path):
    panel = review_panel.open_panel(host)
    review_panel.case(panel)
    review_panel.review(host, panel)
    assert facts(panel)["light"] == "green"
    assert not panel.ui.regionsTable.isVisible() and panel.ui.legendLabel.isVisible()
    target = tmp_path / "report.html"
    host.dialogs.answers.append(str(target))
    host.click(panel.ui.reportButton)
    assert "The field is supported" in target.read_text("utf-8")


def test_what_is_missing_or_wrong_stands_under_the_button(host):
    panel = review_panel.open_panel(host)
    assert not panel.ui.applyButton.enabled and "Choose a fixed image" in panel.ui.statusLabel.text
    review_panel.case(panel)
    parameters(panel).moving_landmarks = None
    assert "belong together" in panel.ui.statusLabel.text
    parameters(panel).moving_landmarks = review_panel.points("few", [(0, 0, 0)])
    review_panel.review(host, panel)
    assert '"F" has 6 landmarks and "few" has 1' in panel.ui.statusLabel.text
    assert not parameters(panel).review


def test_the_wrong_direction_is_told_and_turned_by_one_button(host):
    panel = review_panel.open_panel(host)
    review_panel.case(panel)
    chosen = parameters(panel)
    chosen.transform, chosen.inverse = chosen.inverse, None
    review_panel.review(host, panel)
    assert "Use the inverse?" in panel.ui.findingsLabel.text
    host.click(panel.ui.inverseButton)
    host.wait_until(lambda: not panel.busy, review_panel.SECONDS, "the end of the review")
    host.process(50)
    assert chosen.transform.GetName() == "Result inverse inverse"
    assert score(panel, "landmarks_mean")["after"] < 0.1
    assert "Use the inverse?" not in panel.ui.findingsLabel.text and not panel.ui.inverseButton.isVisible()


def test_a_result_of_another_panel_is_opened_here_and_registered_again_there(host):
    from Testing.panels import splat_panel

    review = review_panel.open_panel(host)
    splat = splat_panel.open_panel(host)
    chosen = splat_panel.parameters(splat)
    chosen.fixed = chosen.result_fixed = review_panel.volume("Fixed", review_panel.picture(review_panel.places()))
    moved = review_panel.picture(review_panel.places() - SHIFT)
    chosen.moving = chosen.result_moving = review_panel.volume("Moving", moved)
    chosen.output_warped = review_panel.volume("Warped", moved)
    chosen.output_transform, chosen.measures = review_panel.transform("Result", SHIFT), "{}"
    host.process(50)
    host.click(splat.ui.reviewButton)
    host.process(50)
    assert slicer.util.selectedModule() == "RegistrationReview"
    assert parameters(review).transform is chosen.output_transform and parameters(review).fixed is chosen.fixed
    parameters(review).pairs_fixed = review_panel.points("a", [(0, 0, 0), (9, 0, 0)])
    parameters(review).pairs_moving = review_panel.points("b", [SHIFT, SHIFT + (9, 1, 0)])
    review.onAgainButton()
    host.process(50)
    assert slicer.util.selectedModule() == "SplatRegistration"
    again = splat_panel.parameters(splat)
    assert again.fixed_landmarks is parameters(review).pairs_fixed
    assert again.splatting_landmark_weight == 1.0


def test_what_is_no_transform_and_no_pose_and_cannot_be_repeated_is_told(host, tmp_path):
    panel = review_panel.open_panel(host)
    broken = tmp_path / "field.h5"
    broken.write_bytes(b"no transform")
    host.dialogs.answers.append(str(broken))
    host.click(panel.ui.loadButton)
    assert f"{broken} cannot be read" in panel.ui.statusLabel.text
    review_panel.case(panel)
    parameters(panel).repeats = 2
    assert 'Nobody has noted how "Result" was made' in panel.ui.statusLabel.text
    assert not panel.ui.applyButton.enabled
    parameters(panel).repeats = 0
    assert panel.ui.applyButton.enabled and panel.ui.applyButton.text == "Review"
    panel.ui.poseResultLineEdit.text = str(tmp_path)
    assert f"{tmp_path} holds no pose" in panel.ui.statusLabel.text and not panel.ui.applyButton.enabled
    panel.ui.poseResultLineEdit.text = ""
    assert panel.ui.applyButton.enabled
