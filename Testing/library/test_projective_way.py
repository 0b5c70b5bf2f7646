"""The way that a learned similarity leads, down valleys whose bottom is known."""

import roma
import torch

from DiffRegLib.camera import c_arm
from DiffRegLib.methods.projective.learned import Comparison, LearnedSimilarity
from DiffRegLib.methods.projective.network import RADIUS, UNIT
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.radiographs.attenuation import attenuation
from DiffRegLib.radiographs.projection import project
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.transforms.se3 import perturbed
from Testing.library.test_projective_network import CENTER, STILL, hounsfield, learner


def test_the_way_leads_along_a_valley_that_is_flat_in_depth():
    """Half the squared distance in which a shift along the beam counts a thousandth; the C-arm is turned."""
    turned = c_arm(CENTER, 1020.0, 620.0, (16.0, 16.0), (24, 24), (30.0, 0.0))
    volume = attenuation(hounsfield(16, 12.0)[0])
    image = project(volume, STILL, turned)[0, 0]
    learned = LearnedSimilarity(learner().network, {}, "cpu")
    comparison = Comparison(learned, volume, views_of([Radiograph(image, turned)]), None, 1.0)
    beam = turned.pose[:3, 2].double()
    weights = torch.block_diag(torch.eye(3), torch.eye(3) - 0.999 * torch.outer(beam, beam)).double()

    def valley(pose):
        twist = (
            torch.cat((roma.rotmat_to_rotvec(pose[:3, :3]) * RADIUS, pose[:3, :3] @ CENTER + pose[:3, 3] - CENTER))
            / UNIT
        )
        gradient = weights @ twist
        return float(twist @ gradient) / 2, gradient

    comparison._evaluated = valley
    start = perturbed(STILL, torch.tensor([0.2, -0.1, 0.15, 20.0, -50.0, 30.0]).double(), CENTER)
    approach = comparison.approach(start)
    assert approach.settled and len(approach.losses) < 80
    assert (approach.pose[:3, :3] @ CENTER + approach.pose[:3, 3] - CENTER).norm() < 0.5
