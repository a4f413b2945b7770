"""Muon: momentum with orthogonalised matrices; Adam for all other weights.

Source: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon). torch's own takes matrices of two dimensions
alone, one after the other, in bf16; this one takes the weights of convolutions as matrices (out x in k k), all of one
shape at once, in float32. On matrices its steps are those of torch's to the precision of bf16 (tested).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reconscale.errors import UserError

MOMENTUM = 0.9
"""Of the moving mean of gradients, taken with Nesterov's look ahead."""
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration x <- a x + b x^3 + c x^5 on singular values; they end within 0.7 and 1.2."""
ITERATIONS = 5
OTHERS = 0.2
"""Adam's rate for all other weights, as a fraction of the rate of matrices."""
BETAS = (0.9, 0.99)
"""Of Adam's two moments."""
EPS = 1e-8


class Muon(torch.optim.Optimizer):
    """Optimises all trainable weights of a network.

    A matrix W (rows x columns) becomes (1 - lr decay) W - lr sqrt(max(1, rows / columns)) O, with O the orthogonalised
    Nesterov momentum: every direction of it moves by about lr, whatever the width, so that one rate carries across
    widths.

    Args:
        network: what is optimised. Weights of two and more dimensions with more than one row and column are matrices.
        lr: of matrices; the others follow at ``OTHERS`` times that.
        weight_decay: of matrices.

    Raises:
        UserError: the network has no matrices.
    """

    def __init__(self, network: nn.Module, lr: float, weight_decay: float = 0.0) -> None:
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        matrices = matrices_of(network)
        taken = set(map(id, matrices))
        others = [weight for weight in weights if id(weight) not in taken]
        groups = [{"params": matrices, "kind": "matrices"}, {"params": others, "kind": "others"}]
        super().__init__([group for group in groups if group["params"]], {"lr": lr, "weight_decay": weight_decay})

    def step(self, accepted: Tensor | None = None) -> None:  # type: ignore[override]
        """One step.

        Args:
            accepted: a Boolean on the device; where it is false, nothing changes. None: true.
        """
        step_together([self], [accepted])

    def _ahead(self, weights: list[Tensor], accepted: Tensor | None) -> Tensor:
        """The momentum of matrices of one shape with Nesterov's look ahead; the state of the first holds that of all.

        Returns:
            (matrices, rows, columns).
        """
        gradient = torch.stack([_as_matrix(_gradient(weight)) for weight in weights])
        state = self.state[weights[0]]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum: Tensor = state["momentum"]
        if accepted is not None:
            gradient = torch.where(accepted, gradient, momentum)  # the mean of both is then the momentum
        momentum.lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)

    def _adam(self, group: dict[str, Any], accepted: Tensor | None) -> None:
        """Move all other weights as one vector; the state of the first one holds the moments of all."""
        weights: list[Tensor] = group["params"]
        gradient = torch.cat([_gradient(weight).reshape(-1) for weight in weights])
        state = self.state[weights[0]]
        if not state:
            state["first"], state["second"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            state["steps"] = torch.zeros((), device=gradient.device)
        gate = torch.ones_like(state["steps"]) if accepted is None else accepted.to(gradient.dtype)
        if accepted is not None:
            gradient = torch.where(accepted, gradient, 0.0)
        state["steps"] += gate
        for name, beta, value in zip(("first", "second"), BETAS, (gradient, gradient.square()), strict=True):
            state[name].lerp_(value, (1 - beta) * gate)
        first, second = (
            state[name] / (1 - beta ** state["steps"].clamp_min(1.0))
            for name, beta in zip(("first", "second"), BETAS, strict=True)
        )
        moves = first / (second.sqrt_() + EPS) * (group["lr"] * OTHERS * gate)
        _subtract(weights, moves.split([weight.numel() for weight in weights]))


@torch.no_grad()
def step_together(optimizers: Sequence[Muon], accepted: Sequence[Tensor | None]) -> None:
    """One step of optimisers of networks of equal shape: matrices of one shape, of all of them, are one product.

    Args:
        optimizers: of the networks, at rates of their own.
        accepted: see :meth:`Muon.step`, for each of them.
    """
    for groups in zip(*(optimizer.param_groups for optimizer in optimizers), strict=True):
        members = list(zip(optimizers, groups, accepted, strict=True))
        if groups[0]["kind"] == "others":
            for optimizer, group, gate in members:
                optimizer._adam(group, gate)
            continue
        for same in zip(*(_by_shape(group["params"]) for group in groups), strict=True):
            ahead = [one._ahead(weights, gate) for (one, _, gate), weights in zip(members, same, strict=True)]
            moves = orthogonalised(ahead[0] if len(ahead) == 1 else torch.cat(ahead))
            for (_, group, gate), weights, mine in zip(members, same, moves.chunk(len(members)), strict=True):
                _move(weights, mine, group, gate)


def _move(weights: list[Tensor], moves: Tensor, group: dict[str, Any], accepted: Tensor | None) -> None:
    """Move matrices of one shape by what has been made orthogonal, (matrices, rows, columns)."""
    lr, decay = group["lr"], group["weight_decay"]
    gate: Tensor | float = 1.0 if accepted is None else accepted.to(moves.dtype)
    rows, columns = moves.shape[1:]
    if decay:
        for weight in weights:
            weight.mul_(1 - lr * decay * gate)
    _subtract(weights, (moves * max(1.0, rows / columns) ** 0.5 * (lr * gate)).unbind())


def _subtract(weights: Sequence[Tensor], moves: Sequence[Tensor]) -> None:
    """Take something away from every weight, at once."""
    torch._foreach_sub_(list(weights), [move.reshape(w.shape) for w, move in zip(weights, moves, strict=True)])


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices with their singular vectors and singular values near 1 (0.7 to 1.2; zeros stay zero).

    The Newton-Schulz iteration of Muon, computed on the smaller Gram matrix: the same result in fewer operations
    for matrices that are far from square.

    Args:
        matrices: (B, rows, columns), float32.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    gram = x @ x.mT
    product = factor = _factor(gram)
    for _ in range(ITERATIONS - 1):
        gram = factor @ gram @ factor  # all of them are polynomials of the first one, and commute
        factor = _factor(gram)
        product = factor @ product
    result: Tensor = product @ x
    return result if wide else result.mT


def _factor(gram: Tensor) -> Tensor:
    """What one iteration multiplies matrices by, (B, rows, rows), from their Gram matrices."""
    a, b, c = QUINTIC
    factor = b * gram + c * (gram @ gram)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor


def matrices_of(network: nn.Module) -> list[nn.Parameter]:
    """The trainable weights that Muon makes orthogonal.

    Raises:
        UserError: there are none.
    """
    matrices = [w for w in network.parameters() if w.requires_grad and min(_as_matrix(w).shape) > 1]
    if not matrices:
        raise UserError("recipe.optimizer", "found 'muon', and the network has no matrices of weights",
                      "set it to 'adam'")  # fmt: skip
    return matrices


def _as_matrix(weight: Tensor) -> Tensor:
    """(out, everything else); a vector as one row."""
    return weight.reshape(len(weight), -1) if weight.ndim > 1 else weight.reshape(1, -1)


def _gradient(weight: Tensor) -> Tensor:
    """The gradient, or zeros where the loss has not reached the weight."""
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def _by_shape(weights: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    found: dict[tuple[int, ...], list[Tensor]] = {}
    for weight in weights:
        found.setdefault(tuple(_as_matrix(weight).shape), []).append(weight)
    return found.values()
