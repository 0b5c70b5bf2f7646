"""The live radiograph on the screen: what is shown over the X-ray, where, and when."""

import time

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from Testing.panels import xray_panel as xray  # noqa: E402

VIEW = "XRay1"
NEAR = 14  # gray values by which a place on the screen may differ: it is rounded to whole pixels of the screen
AWAY = "25 -15 40 12 20 -24"  # a pose at which the CT looks different from the X-ray
GRID = [(column, row) for column in range(12, 90, 15) for row in range(8, 76, 13)]


def seen(host, pixels=GRID, view=VIEW, size=xray.SIZE):
    """(N,3) what the screen shows at pixels of the X-ray."""
    picture = host.pixels(view).astype(int)
    places = [xray.place(host, view, pixel, size) for pixel in pixels]
    return np.array([picture[row, column] for column, row in places])


def at(image, pixels=GRID):
    """(N,) the values of an image at pixels (column, row)."""
    return np.array([image[row, column] for column, row in pixels])


def flat(*images):
    """The places of the grid around which no image changes fast, as a mask: there a rounded place does not matter."""
    steep = [np.hypot(*np.gradient(image)) for image in images]
    return np.max([at(s) for s in steep], axis=0) < 12


def radiograph(scene, panel):
    return scene.drr(panel.pose.matrix)


@pytest.fixture
def panel(host):
    return xray.open_panel(host, bones=False)


def test_the_radiograph_over_the_xray_is_that_of_the_library(host, panel):
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    assert np.abs(xray.picture(VIEW) - scene.drr(np.eye(4))).max() < 1e-4
    xray.paste(host, panel, "10 -5 20 15 -40 -12")
    rows, columns = np.random.default_rng(0).integers(0, xray.SIZE, (200, 2)).T
    reference = scene.reference(panel.pose.matrix, np.stack([rows, columns], -1))
    assert np.abs(xray.picture(VIEW)[rows, columns] - reference).max() < 1e-3
    assert np.ptp(reference) > 1, "the rays meet nothing"
    xray.paste_truth(host, panel)
    acquired = slicer.util.arrayFromVolume(scene.xrays[0])[0]
    assert np.abs(xray.picture(VIEW) - acquired).max() < 1e-3


def test_blend_shows_as_much_of_either_as_the_opacity_says(host, panel):
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    xray.paste(host, panel, AWAY)
    acquired, drr = xray.gray(scene.drr(scene.truth)), xray.gray(radiograph(scene, panel))
    even = flat(acquired, drr)
    assert np.abs(at(acquired) - at(drr))[even].max() > 40, "the two do not differ"
    for opacity in (0.0, 0.25, 1.0):
        panel.ui.opacitySlider.value = opacity
        host.process(50)
        expected = (1 - opacity) * at(acquired) + opacity * at(drr)
        assert np.abs(seen(host) - expected[:, None])[even].max() < NEAR
    xray.over(host, panel, "NOTHING")
    assert np.abs(seen(host) - at(acquired)[:, None])[even].max() < NEAR
    assert xray.picture(VIEW) is None


def test_red_and_cyan_are_the_two_images(host, panel):
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    xray.paste(host, panel, AWAY)
    acquired, drr = xray.gray(scene.drr(scene.truth)), xray.gray(radiograph(scene, panel))
    even = flat(acquired, drr)
    xray.over(host, panel, "RED_CYAN")
    shown = seen(host)[even]
    assert np.abs(shown[:, 0] - at(acquired)[even]).max() < NEAR
    assert np.abs(shown[:, 1:] - at(drr)[even][:, None]).max() < NEAR
    xray.over(host, panel, "BLEND")
    assert np.ptp(seen(host), axis=1).max() <= 1, "the X-ray stays red"


def test_contours_lie_on_the_edges_of_the_ct_and_the_xray_is_seen_beside_them(host, panel):
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    xray.over(host, panel, "CONTOURS")
    acquired, drr = xray.gray(scene.drr(scene.truth)), radiograph(scene, panel)
    edges = xray.picture(VIEW) == 1
    steep = np.hypot(*np.gradient(drr))
    assert 50 < edges.sum() < 0.15 * edges.size
    assert np.median(steep[edges]) > 2 * np.median(steep[~edges]), "the contours are not where the radiograph changes"
    lines = [(column, row) for row, column in np.argwhere(edges)]
    orange = seen(host, lines)
    assert np.mean((orange[:, 0] > 180) & (orange[:, 2] < 110)) > 0.9
    from scipy.ndimage import binary_dilation

    away = flat(acquired) & ~at(binary_dilation(edges, iterations=2))
    assert away.sum() > 5
    assert np.abs(seen(host)[away] - at(acquired)[away][:, None]).max() < NEAR


def test_the_checkerboard_takes_turns(host, panel):
    side = xray.SIZE[1] // 8
    tiles = [(column, 0) for column in range(8)] + [(0, row) for row in range(1, 6)] + [(7, row) for row in range(1, 6)]
    inner = [(column * side + side // 2, row * side + side // 2) for column, row in tiles]
    scene = xray.choose(panel, marks=inner)
    xray.go_live(host, panel)
    xray.paste_truth(host, panel)
    xray.over(host, panel, "CHECKERBOARD")
    marked = seen(host, inner)[:, 0]
    around = xray.gray(slicer.util.arrayFromVolume(scene.xrays[0])[0])
    dark = [n for n, (column, row) in enumerate(inner) if around[row - 3, column] < 150]
    own = np.array([(column // side + row // side) % 2 == 0 for column, row in inner])[dark]
    assert own.sum() > 3 and (~own).sum() > 3
    assert marked[dark][own].min() > 225, "a square of the X-ray does not show its mark"
    assert marked[dark][~own].max() < 200, "a mark of the X-ray shows in a square of the CT"


def test_the_difference_is_red_where_the_xray_has_more(host, panel):
    mark, beside = (14, 60), (75, 18)
    xray.choose(panel, marks=[mark])
    xray.go_live(host, panel)
    xray.paste_truth(host, panel)
    xray.over(host, panel, "DIFFERENCE")
    red, white = seen(host, [mark, beside])
    assert red[0] > 150 and red[0] > red[2] + 60, red
    assert white.min() > 215, white


CARMS = {
    "frontal": ({}, (-1, 1)),
    "mirrored": ({"mirrored": True}, (1, 1)),
    "turned and mirrored": ({"image_angle": 90.0, "mirrored": True}, (1, -1)),
    "from behind": ({"primary_angle": 180.0}, (1, 1)),
}


@pytest.mark.parametrize("settings, directions", CARMS.values(), ids=CARMS)
def test_left_and_right_up_and_down(host, panel, settings, directions):
    """directions: on which side of the screen the hole lies that is on the right of the patient, toward the head."""
    mark = (9, 14)
    xray.choose(panel, [xray.options(**settings)], marks=[mark])
    xray.go_live(host, panel)
    xray.over(host, panel, "NOTHING")
    column, row = xray.place(host, VIEW, mark)
    picture = host.pixels(VIEW)[..., 0].astype(float)
    around = picture[row - 25 : row + 26, column - 25 : column + 26]
    rows, columns = np.nonzero(around > 250)
    assert 9 * 9 < len(rows) < 25 * 25
    assert abs(rows.mean() - 25) < 2 and abs(columns.mean() - 25) < 2
    xray.over(host, panel, "BLEND")
    panel.ui.opacitySlider.value = 1.0
    picture = host.pixels(VIEW)[..., 0].astype(float)
    patients_right_head = xray.CENTER + np.array([0.15, -0.3, 0.3]) * 94
    shadow = np.array(host.pixel_of(VIEW, shadow_of(patients_right_head, settings)))
    middle = np.array([picture.shape[1], picture.shape[0]]) / 2
    assert np.sign(shadow - middle).tolist() == [directions[0], -directions[1]]
    assert picture[shadow[1], shadow[0]] < picture[int(middle[1]), int(middle[0])] - 30, "there is no hole"


def shadow_of(point, settings):
    """Where the ray through a point meets the detector, RAS mm, for a C-arm in the patient's axial plane."""
    beam = np.array([0.0, -1.0 if settings.get("primary_angle") else 1.0, 0.0])
    source = xray.CENTER - 650 * beam
    return source + (point - source) * 1000 / ((point - source) @ beam)


def test_small_pictures_while_moving_and_whole_ones_at_rest(host, panel, monkeypatch):
    from DiffRegLib.radiographs import live

    monkeypatch.setattr(live, "BUDGET", 1e-3)  # ms: as on a very slow computer
    size = (256, 256)
    scene = xray.choose(panel, [xray.options(pixel_width=0.8)], size=size)
    xray.go_live(host, panel)
    assert xray.picture(VIEW).shape == size
    pictures, moves, arrived = [], [], slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
    node, pose = slicer.util.getNode("CT over X-ray 1 of a block"), panel.pose.node
    tags = [
        (node, node.AddObserver(arrived, lambda *_: pictures.append(now(node)))),
        (pose, pose.AddObserver(pose.TransformModifiedEvent, lambda *_: moves.append(time.monotonic()))),
    ]
    host.mouse.drag(VIEW, (150, 150), (220, 190), steps=8)
    released = time.monotonic()
    xray.rest(host, panel)
    for subject, tag in tags:
        subject.RemoveObserver(tag)
    assert min(width for _time, width, _place in pictures) <= 128 and pictures[0][1] < 256
    for moment, width, _place in pictures:
        rested = moment - max((move for move in moves if move <= moment), default=moment) > 0.1
        assert width < 256 or rested or not any(move > moment for move in moves), "a whole picture while it moves"
    assert pictures[-1][1] == 256 and pictures[-1][0] - released < 3.0
    places = np.array([place for *_others, place in pictures])
    assert np.abs(places - places[0]).max() < 0.01, "small pictures lie elsewhere than whole ones"
    assert np.abs(xray.picture(VIEW) - radiograph(scene, panel)).max() < 1e-3


def now(node):
    """Time in s, width, and where the edges of a picture are, RAS mm."""
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return time.monotonic(), node.GetImageData().GetDimensions()[0], bounds


def test_a_ct_out_of_the_beam_is_told_on_the_picture_and_comes_back(host, panel):
    xray.choose(panel)
    xray.go_live(host, panel)
    before = host.pixels(VIEW).astype(int)
    for pose, words in (("0 0 0 900 0 0", "outside the beam"), ("0 0 0 0 -900 0", "behind the X-ray source")):
        xray.paste(host, panel, pose)
        assert words in panel.session.view.views[0].sentence
        assert xray.picture(VIEW) is None
        assert yellow(host.pixels(VIEW)) > 100, "the sentence is not to be seen"
        xray.paste(host, panel, "0 0 0 0 0 0")
        assert yellow(host.pixels(VIEW)) == 0
        assert np.abs(host.pixels(VIEW).astype(int) - before).max() < 3


def yellow(picture):
    """How many pixels have the color of the words."""
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return int(((red > 180) & (green > 150) & (blue < 120)).sum())


def test_two_views_show_one_pose(host, panel):
    scene = xray.choose(panel, [xray.options(), xray.options(primary_angle=70.0)])
    xray.go_live(host, panel)
    xray.paste(host, panel, "3 2 1 5 4 -6")
    for view, name in enumerate(("XRay1", "XRay2")):
        assert np.abs(xray.picture(name) - scene.drr(panel.pose.matrix, view)).max() < 1e-4
    acquired = xray.gray(scene.drr(scene.truth, 1))
    xray.over(host, panel, "NOTHING")
    assert np.abs(seen(host, view="XRay2") - at(acquired)[:, None])[flat(acquired)].max() < NEAR
