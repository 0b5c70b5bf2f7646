"""The network of a field: an MLP of sines, modulated by another that reads codes; with its Jacobian in closed form.

L. Tian et al., NePhi: neural deformation fields for approximately diffeomorphic medical image registration, ECCV 2024,
after I. Mehta et al., Modulated periodic activations for generalizable local functional representations, ICCV 2021.

Every layer works on a stack (1 + T, N, C): first the values, then T derivatives of them, one for each coordinate by
which is derived. T is 0 where nobody asks for derivatives. A derivative passes a layer by the chain rule, so that the
Jacobian is exact, costs T more evaluations, and can itself be differentiated by the parameters and the points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Size:
    """How large a network is.

    units: of each layer. layers: hidden ones. frequencies: of the Fourier features. cycles: standard deviation of the
    frequencies, in cycles over half the image's longest side. global_code, local_code: channels of the codes.
    """

    units: int = 64
    layers: int = 2
    frequencies: int = 64
    cycles: float = 1.0
    global_code: int = 32
    local_code: int = 32


class ModulatedMLP(nn.Module):
    """Displacement (N, dimension) at points (N, dimension) under codes; zero before it is trained.

    With e = (sin, cos)(2 pi B p), s = sin(S e), m = sin(M (e, z)): each hidden layer takes m <- sin(M_l m) + m_0 and
    h <- sin(S_l h) m, starting with h = s and m = m_0. The last layer is linear and starts at zero.
    """

    def __init__(self, dimension: int, size: Size, generator: torch.Generator) -> None:
        super().__init__()
        units, embedded = size.units, 2 * size.frequencies

        def weights(rows: int) -> nn.Parameter:
            bound = math.sqrt(6 / rows)
            return nn.Parameter((torch.rand(rows, units, generator=generator) * 2 - 1) * bound)

        def biases(bound: float) -> nn.Parameter:
            return nn.Parameter((torch.rand(units, generator=generator) * 2 - 1) * bound)

        bands = torch.randn(dimension, size.frequencies, generator=generator) * (2 * math.pi * size.cycles)
        self.register_buffer("bands", bands)
        self.first_weight, self.first_bias = weights(embedded), biases(math.pi)
        self.gate_weight, self.gate_bias = nn.Parameter(weights(embedded) * GATE_START), biases(math.pi)
        self.local_weight, self.global_weight = weights(size.local_code), weights(size.global_code)
        self.hidden_weights = nn.ParameterList(weights(units) for _ in range(size.layers))
        self.hidden_biases = nn.ParameterList(biases(HIDDEN_BIAS) for _ in range(size.layers))
        self.gates_weights = nn.ParameterList(weights(units) for _ in range(size.layers))
        self.gates_biases = nn.ParameterList(biases(HIDDEN_BIAS) for _ in range(size.layers))
        self.last_weight = nn.Parameter(torch.zeros(units, dimension))
        self.last_bias = nn.Parameter(torch.zeros(dimension))

    def forward(self, points: Tensor, local: Tensor, shared: Tensor) -> Tensor:
        """The stack (1 + T, N, dimension) of displacements and of their derivatives.

        points: (1 + T, N, dimension), the coordinates and T unit vectors. local: (1 + T, N, C) local codes. shared:
        (G,) global code.
        """
        waves = points @ self.bands
        embedded = torch.cat((sine(waves), cosine(waves)), -1)
        hidden = sine(_linear(embedded, self.first_weight, self.first_bias))
        bias = self.gate_bias + shared @ self.global_weight
        start = gate = sine(_linear(embedded, self.gate_weight, bias) + local @ self.local_weight)
        layers = zip(self.hidden_weights, self.hidden_biases, self.gates_weights, self.gates_biases)
        for weight, bias, gate_weight, gate_bias in layers:
            gate = sine(_linear(gate, gate_weight, gate_bias)) + start
            hidden = product(sine(_linear(hidden, weight, bias)), gate)
        return _linear(hidden, self.last_weight, self.last_bias)


GATE_START = 0.3
"""Of the weights with which the modulation reads the Fourier features: at first the codes and the biases decide."""
HIDDEN_BIAS = 0.5


def with_unit_vectors(points: Tensor) -> Tensor:
    """(N, D) points as the stack (1 + D, N, D) whose derivatives are those by the coordinates."""
    units = torch.eye(points.shape[1]).to(points)[:, None].expand(-1, len(points), -1)
    return torch.cat((points[None], units))


def sine(stack: Tensor) -> Tensor:
    """The sine of the values; derivatives by the chain rule."""
    return _chained(stack, stack[:1].sin(), torch.cos)


def cosine(stack: Tensor) -> Tensor:
    """The cosine of the values; derivatives by the chain rule."""
    return _chained(stack, stack[:1].cos(), lambda x: -x.sin())


def product(first: Tensor, second: Tensor) -> Tensor:
    """The product of two stacks."""
    value = first[:1] * second[:1]
    if len(first) == 1:
        return value
    return torch.cat((value, first[:1] * second[1:] + first[1:] * second[:1]))


def _chained(stack: Tensor, value: Tensor, slope) -> Tensor:
    return value if len(stack) == 1 else torch.cat((value, slope(stack[:1]) * stack[1:]))


def _linear(stack: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mapped = stack @ weight
    if len(stack) == 1:
        return mapped + bias
    return torch.cat((mapped[:1] + bias, mapped[1:]))
