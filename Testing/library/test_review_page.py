"""The report of a review: what is in it, that nothing leaves it, and that a browser shows it."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from DiffRegLib.cli import main
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import write_image, write_landmarks
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.review.assess import assess
from DiffRegLib.review.case import Case, LabelPair, LandmarkPairs
from DiffRegLib.review.page import write_report
from DiffRegLib.review.page.document import document
from DiffRegLib.transforms import Affine, DisplacementField, write_transform
from Testing.library.geometry import smooth_image
from Testing.patience import patient

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VOID = {"meta", "img", "input", "br"}


class Balanced(HTMLParser):
    """Counts elements, collects what they refer to, and notices one that is closed out of order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.count, self.sources, self.text = [], {}, [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def review():
    geometry = Geometry((24, 26, 28), torch.diag(torch.tensor([4.0, 4.0, 4.0, 1.0])))
    fixed = smooth_image(geometry)
    shift = torch.zeros(3, *geometry.shape)
    shift[0] = 6.0
    shift[0, 10:14, 10:14, 20:22] = torch.tensor([18.0, 0.0])
    points = geometry.center + 20 * torch.randn(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = Image(((geometry.grid() - geometry.center).norm(dim=-1) < 30).int()[None], geometry.affine)
    case = Case(
        "Mr <Nobody>",
        DisplacementField(Image(shift, geometry.affine)),
        Affine.translation(torch.tensor([-6.0, 0.0, 0.0])),
        fixed,
        fixed,
        LandmarkPairs(points, points + torch.tensor([6.0, 0.0, 0.0])),
        LabelPair(labels, labels, {1: "ball & chain"}),
        provenance={"method": "by hand"},
    )
    return assess(case)


def test_page_is_well_formed_holds_its_pictures_and_refers_to_nothing_outside(review):
    page = document([review, review], "Two of a kind")
    parsed = Balanced(page)
    assert not parsed.open
    assert parsed.count["article"] == parsed.count["form"] == 2 and parsed.count["textarea"] == 2
    assert all(source.startswith(("data:image/", "#case")) for source in parsed.sources)
    assert "default-src 'none'" in page and not re.search(r"https?://", page)
    words = "".join(parsed.text)
    assert "Mr <Nobody>" in words and "ball & chain" in words and "by hand" in words
    assert "The field is supported within 12 mm" in words and "landmark error, mean" in words


def test_numbers_of_the_page_are_those_of_the_review(review):
    words = "".join(Balanced(document([review], "One")).text)
    assert f"{review.score('landmarks_mean').after:.2f}\N{NO-BREAK SPACE}mm" in words
    assert f"{review.score('folded').after:.4f}\N{NO-BREAK SPACE}%" in words
    assert review.regions and review.light == "red"


def test_no_case_and_a_folder_that_is_not_there_are_refused(review, tmp_path):
    with pytest.raises(RegistrationError, match="no case"):
        write_report([], tmp_path / "a.html")
    with pytest.raises(RegistrationError, match="cannot be written"):
        write_report([review], tmp_path / "nowhere" / "a.html")


def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no browser is at hand: apt-get install chromium")
    return found


def test_a_browser_shows_the_report_runs_its_script_and_photographs_it(review, tmp_path):
    """The dump is the page after its script has run; a row of the list is opened by the address."""
    page = tmp_path / "report.html"
    write_report([review, review], page)
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser(), *flags, "--virtual-time-budget=2000"]
    dump = subprocess.run(
        [*command, "--dump-dom", f"{page.as_uri()}#case2"], capture_output=True, text=True, timeout=patient(60)
    ).stdout
    opened = re.findall(r'<article class="case( open)?" id="(case\d)"', dump)
    assert opened == [("", "case1"), (" open", "case2")]
    assert 'data-mode="blend"' in dump
    picture = tmp_path / "report.png"
    subprocess.run(
        [*command, "--window-size=1200,1600", f"--screenshot={picture}", page.as_uri()],
        capture_output=True,
        timeout=patient(60),
    )
    from PIL import Image as Picture

    pixels = np.asarray(Picture.open(picture).convert("RGB")).astype(int)
    red = (pixels[..., 0] > 190) & (pixels[..., 1] < 70) & (pixels[..., 2] < 70)
    assert red.sum() > 100  # the light of a case that folds
    assert pixels.std() > 20  # and not an empty page


def test_command_line_writes_the_report_of_files_and_says_what_is_wrong(tmp_path, capsys):
    geometry = Geometry((16, 16, 16), torch.diag(torch.tensor([5.0, 5.0, 5.0, 1.0])))
    points = geometry.center + 15 * torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    write_image(smooth_image(geometry), tmp_path / "smith.nii.gz")
    write_landmarks(points, tmp_path / "fixed.csv")
    write_landmarks(points + torch.tensor([7.0, 0.0, 0.0]), tmp_path / "moving.csv")
    write_transform(Affine.translation(torch.tensor([-7.0, 0.0, 0.0])), tmp_path / "t.h5")
    image, out = str(tmp_path / "smith.nii.gz"), tmp_path / "report.html"
    command = ["review", "--transform", str(tmp_path / "t.h5"), "--fixed", image, "--moving", image, "-o", str(out)]
    marks = ["--fixed-landmarks", str(tmp_path / "fixed.csv"), "--moving-landmarks", str(tmp_path / "moving.csv")]
    assert main([*command, *marks]) == 0
    printed = capsys.readouterr().out
    assert "14.00 mm" in printed and "Use the inverse?" in printed
    assert "smith" not in out.read_text("utf-8")
    assert main([*command, *marks]) == 2 and "exists" in capsys.readouterr().err
    assert main([*command, *marks, "--use-inverse", "--names", "--overwrite"]) == 0
    assert "Use the inverse?" not in capsys.readouterr().out and "smith" in out.read_text("utf-8")
    assert main([*command, *marks[:2], "--overwrite"]) == 2
    assert "one side alone" in capsys.readouterr().err
    assert main(["review", "-o", str(out)]) == 2 and "Nothing is named" in capsys.readouterr().err
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no transform")
    assert main(["review", "--transform", str(broken), "--fixed", image, "-o", str(tmp_path / "b.html")]) == 2
    assert "cannot be read as a transform" in capsys.readouterr().err
