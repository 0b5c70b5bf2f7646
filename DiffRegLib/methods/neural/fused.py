"""A network at many points, block by block, with the gradient of its parameters written out by hand.

Automatic differentiation keeps every intermediate of every point; here a block of points goes forward and back while
it is in the caches, and what a pass needs does not grow with the number of points. sin and cos of a layer, of which one
is the other's slope, are computed together.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from DiffRegLib import ops
from DiffRegLib.methods.neural.codes import Codes
from DiffRegLib.methods.neural.network import ModulatedMLP
from DiffRegLib.ops.backend import available

BLOCK = 1024
"""Points of a block on the processor: their activations of 64 units fill a few MB."""
READ = 1 << 16
"""Points whose local codes are read at a time, and points of a block on a GPU."""

Slope = Callable[[Tensor, int, int], Tensor]
"""Called with the displacements (n, dimension) of the points low to high; returns the gradient of the loss to them."""


class BlockNetwork:
    """Values of a network, and gradients that are added to its parameters and to the codes."""

    def __init__(self, network: ModulatedMLP, codes: Codes, block: int | None = None) -> None:
        self.network, self.codes = network, codes
        self._block = block or (BLOCK if codes.shared.device.type == "cpu" else READ)
        self._memory: dict[str, Tensor] = {}

    @torch.no_grad()
    def values(self, points: Tensor) -> Tensor:
        """(N, dimension) displacements at (N, dimension) points."""
        found = []
        for part in points.split(READ):
            local = self.codes(part[None])[0]
            found += [self._forward(part[low:high], local[low:high]) for low, high in self._spans(len(part))]
        return torch.cat(found)

    @torch.no_grad()
    def learn(self, points: Tensor, slope: Slope) -> None:
        """Adds the gradients of a loss whose slope to the displacements at (N, dimension) points is given.

        Those to the codes are added by `share`.
        """
        local = self.codes(points[None])[0]
        to_local = torch.empty_like(local)
        for parameter in self.network.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._to_shared = torch.zeros_like(self.codes.shared)
        for low, high in self._spans(len(points)):
            moved = self._forward(points[low:high], local[low:high])
            to_local[low:high] = self._backward(slope(moved, low, high), local[low:high])
        normalized, shape = self.codes.normalized(points)[None], self.codes.local.shape[1:]
        self._to_codes = ops.splat(normalized, to_local.T[None].contiguous(), tuple(shape))[0]

    def share(self) -> None:
        """Adds the gradients of the codes that `learn` left; both networks have these codes, and may learn at once."""
        for parameter, gradient in ((self.codes.local, self._to_codes), (self.codes.shared, self._to_shared)):
            parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)

    def _spans(self, count: int) -> list[tuple[int, int]]:
        return [(low, min(low + self._block, count)) for low in range(0, count, self._block)]

    def _room(self, name: str, rows: int, columns: int) -> Tensor:
        """Memory that is used again: (rows, columns), not cleared."""
        found = self._memory.get(name)
        if found is None or found.shape[1] != columns or found.device != self.network.bands.device:
            found = self._memory[name] = torch.empty(self._block, columns, device=self.network.bands.device)
        return found[:rows]

    def _forward(self, points: Tensor, local: Tensor) -> Tensor:
        net, count = self.network, len(points)
        units = net.first_bias.shape[0]
        waves = torch.mm(points, net.bands, out=self._room("waves", count, net.bands.shape[1]))
        embedded = _embed(waves, self._room("embedded", count, 2 * waves.shape[1]))
        room = self._room("sine0", count, units)
        torch.addmm(net.first_bias, embedded, net.first_weight, out=room)
        hidden = _sine(room, self._room("cosine0", count, units))
        start = torch.addmm(
            net.gate_bias + self.codes.shared @ net.global_weight,
            embedded,
            net.gate_weight,
            out=self._room("gate0", count, units),
        )
        gate = start = _sine(start.addmm_(local, net.local_weight), self._room("turn0", count, units))
        for n, (weight, bias) in enumerate(zip(net.hidden_weights, net.hidden_biases), 1):
            room = self._room(f"gate{n}", count, units)
            torch.addmm(net.gates_biases[n - 1], gate, net.gates_weights[n - 1], out=room)
            gate = _sine(room, self._room(f"turn{n}", count, units)).add_(start)
            sines = torch.addmm(bias, hidden, weight, out=self._room(f"sine{n}", count, units))
            _sine(sines, self._room(f"cosine{n}", count, units))
            hidden = torch.mul(sines, gate, out=self._room(f"hidden{n}", count, units))
        return torch.addmm(net.last_bias, hidden, net.last_weight)

    def _backward(self, slope: Tensor, local: Tensor) -> Tensor:
        """Adds the gradients of the block that went forward last; returns that to its local codes."""
        net, count, layers = self.network, len(slope), len(self.network.hidden_weights)
        units = net.first_bias.shape[0]

        def room(name: str) -> Tensor:
            return self._room(name, count, units)

        _add(net.last_weight, net.last_bias, room(f"hidden{layers}"), slope)
        to_hidden = torch.mm(slope, net.last_weight.T, out=room("to_hidden"))
        to_gate, to_start = room("to_gate").zero_(), room("to_start").zero_()
        for n in range(layers, 0, -1):
            below = room(f"hidden{n - 1}") if n > 1 else room("sine0")
            to_gate.addcmul_(to_hidden, room(f"sine{n}"))
            turned = to_hidden.mul_(room(f"gate{n}")).mul_(room(f"cosine{n}"))
            _add(net.hidden_weights[n - 1], net.hidden_biases[n - 1], below, turned)
            to_below = torch.mm(turned, net.hidden_weights[n - 1].T, out=room("spare"))
            self._memory["to_hidden"], self._memory["spare"] = self._memory["spare"], self._memory["to_hidden"]
            to_hidden = to_below
            to_start += to_gate
            turned = to_gate.mul_(room(f"turn{n}"))
            _add(net.gates_weights[n - 1], net.gates_biases[n - 1], room(f"gate{n - 1}"), turned)
            to_below = torch.mm(turned, net.gates_weights[n - 1].T, out=room("spare"))
            self._memory["to_gate"], self._memory["spare"] = self._memory["spare"], self._memory["to_gate"]
            to_gate = to_below
        embedded = self._room("embedded", count, net.first_weight.shape[0])
        _add(net.first_weight, net.first_bias, embedded, to_hidden.mul_(room("cosine0")))
        turned = to_gate.add_(to_start).mul_(room("turn0"))
        before = net.gate_bias.grad.clone()
        _add(net.gate_weight, net.gate_bias, embedded, turned)
        to_bias = net.gate_bias.grad - before
        net.global_weight.grad.addr_(self.codes.shared, to_bias)
        self._to_shared.addmv_(net.global_weight, to_bias)
        net.local_weight.grad.addmm_(local.T, turned)
        return turned @ net.local_weight.T


def _add(weight: Tensor, bias: Tensor, inputs: Tensor, slope: Tensor) -> None:
    weight.grad.addmm_(inputs.T, slope)
    bias.grad += slope.sum(0)


def _compiled(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and available("cpu")


def _sine(phases: Tensor, cosines: Tensor) -> Tensor:
    """Writes the cosines, and the sines over the phases, which are returned."""
    if not _compiled(phases):
        torch.cos(phases, out=cosines)
        return phases.sin_()
    from DiffRegLib.methods.neural.kernels import sine_and_cosine

    sine_and_cosine(phases.view(-1).numpy(), cosines.view(-1).numpy())
    return phases


def _embed(waves: Tensor, embedded: Tensor) -> Tensor:
    if not _compiled(waves):
        return torch.cat((waves.sin(), waves.cos()), 1, out=embedded)
    from DiffRegLib.methods.neural.kernels import embed

    embed(waves.numpy(), embedded.numpy())
    return embedded
