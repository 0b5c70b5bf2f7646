"""Adam without torch's optimizers: the same steps, and no compiler imported."""

import subprocess
import sys

import torch

from DiffRegLib.ops.adam import Adam
from Testing.modules import ROOT


def test_the_steps_are_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(n, generator=generator) for n in (3, 5)]
    ours, theirs = ([start.clone().requires_grad_() for start in starts] for _ in range(2))
    adam, known = Adam(ours), torch.optim.Adam([{"params": [p]} for p in theirs])
    for n in range(30):
        rates = 0.1 / (n + 1), 0.03
        for pair in (ours, theirs):
            (pair[0].cos().sum() * pair[1].square().sum()).backward()
        adam.step(*rates)
        for group, rate in zip(known.param_groups, rates):
            group["lr"] = rate
        known.step()
        known.zero_grad()
        assert all(p.grad is None for p in ours)
    for mine, other, start in zip(ours, theirs, starts):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-6)
        assert (mine - start).abs().max() > 0.1


def test_a_registration_of_points_imports_no_compiler():
    code = (
        "import sys, torch; from DiffRegLib.methods.splatting import register, SplattingOptions;"
        "from DiffRegLib.points import PointCloud; torch.manual_seed(0); p = 40 * torch.randn(60, 3);"
        "register(PointCloud.plain(p), PointCloud.plain(p + 3), SplattingOptions(fine_iterations=2, device='cpu'));"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
