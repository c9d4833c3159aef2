"""Modules of less common operators, with their arithmetic by hand: name -> module, inputs, macs, flops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze import Shape


class Run(nn.Module):
    """A module that runs a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:
        """Return the result of the function."""
        return self.function(*args, **kwargs)


Hand = dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...], int, int]]


def run(function: Callable[..., Any]) -> Callable[[], nn.Module]:
    """Return a factory of a module that runs a function."""
    return lambda: Run(function)


def ones(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a tensor of ones."""
    return torch.ones(shape, dtype=dtype)


TARGETS = Shape(2, dtype="int64")
INT8 = torch.int8


def offsets(*ends: int) -> Tensor:
    """Return the ends of groups."""
    return torch.tensor(ends, dtype=torch.int32)


PRODUCTS: Hand = {
    # 5 products of 3 x 4 by 4 x 2, summed; plus 3 x 2
    "addbmm": (run(torch.addbmm), ((3, 2), (5, 3, 4), (5, 4, 2)), 120, 240 + 6),
    "scaled addbmm": (
        run(lambda m, a, b: torch.addbmm(m, a, b, beta=2, alpha=3)), ((3, 2), (5, 3, 4), (5, 4, 2)), 120, 240 + 18,
    ),
    # 2 x 3 products, each added
    "addr": (run(torch.addr), ((2, 3), (2,), (3,)), 0, 12),
    "scaled addr": (run(lambda m, a, b: torch.addr(m, a, b, alpha=2)), ((2, 3), (2,), (3,)), 0, 18),
    "addr scaled by zero": (run(lambda m, a, b: torch.addr(m, a, b, beta=0)), ((2, 3), (2,), (3,)), 0, 6),
    "integer product": (run(torch._int_mm), (ones(32, 64, dtype=INT8), ones(64, 32, dtype=INT8)), 65536, 131072),
    # 5 steps of 2 sequences, 4 channels out, 3 x 3 products each; 40 biases
    "conv tbc": (run(torch.conv_tbc), ((7, 2, 3), (3, 3, 4), (4,)), 360, 720 + 40),
    # each of 16 rows meets one expert of 32 x 24
    "grouped product": (run(lambda x, w, o: torch._grouped_mm(x, w, offs=o)), ((16, 32), (4, 32, 24), offsets(4, 8, 12, 16)), 12288, 24576),
    # the summed dimension of 16 is divided among the groups: 5 x 16 x 24 in all
    "product grouped by summed elements": (
        run(lambda x, w, o: torch._grouped_mm(x, w, offs=o)), ((5, 16), (16, 24), offsets(4, 8, 12, 16)), 1920, 3840,
    ),
    # 2 x 3 pairs of rows of 4: subtract, multiply-accumulate; a root for each pair
    "distance": (run(torch.cdist), ((2, 4), (3, 4)), 24, 3 * 24 + 6),
    # subtract, absolute value, add
    "city block distance": (run(lambda a, b: torch.cdist(a, b, p=1.0)), ((2, 4), (3, 4)), 0, 72),
    "largest distance": (run(lambda a, b: torch.cdist(a, b, p=torch.inf)), ((2, 4), (3, 4)), 0, 72),
    # subtract, absolute value, power, add; a root for each pair
    "distance of order 3": (run(lambda a, b: torch.cdist(a, b, p=3.0)), ((2, 4), (3, 4)), 0, 4 * 24 + 6),
    # 3 pairs of 3 rows
    "distances of one set": (run(torch.pdist), ((3, 4),), 12, 3 * 12 + 3),
    # (2 x 3 x 4) + (2 x 4 x 5): PyTorch chooses the order
    "chain": (run(lambda a, b, c: torch.linalg.multi_dot([a, b, c])), ((2, 3), (3, 4), (4, 5)), 64, 128),
    # 4 x 6 products
    "Kronecker product": (run(torch.kron), ((2, 2), (2, 3)), 0, 24),
    # 2 x 5 x 5 positions of 2 coordinates, 3 products each
    "affine grid": (run(lambda t: functional.affine_grid(t, [2, 1, 5, 5], align_corners=False)), ((2, 2, 3),), 300, 600),
    # the sum over n takes 2 x (9 - 1) x 4 additions, then 2 x 4 x 3
    "einsum of an index that one operand has": (
        run(lambda a, b: torch.einsum("bnd,de->be", a, b)), ((2, 9, 4), (4, 3)), 24, 48 + 64,
    ),
    # i is kept, so nothing is summed
    "einsum of equal shapes": (run(lambda a, b: torch.einsum("ij,ij->ij", a, b)), ((2, 3), (2, 3)), 0, 6),
    "einsum without an output": (run(lambda a, b: torch.einsum("ij,ij", a, b)), ((2, 3), (2, 3)), 6, 12),
    "einsum transposed": (run(lambda a: torch.einsum("ij->ji", a)), ((2, 3),), 0, 0),
    # j of one element is broadcast: i k = 2 x 4
    "einsum broadcast": (run(lambda a, b: torch.einsum("ij,jk->ik", a, b)), ((2, 1), (1, 4)), 0, 8),
    # 3 x 4 products, ReLU
    "activated product": (run(torch._addmm_activation), ((5,), (2, 3), (3, 5)), 30, 60 + 20),
}  # fmt: skip

GROUPED_PRODUCTS = torch.__version__ >= "2.9"
"""False for PyTorch 2.7 and older, which has no grouped products, and for 2.8, which has them on CUDA alone."""

if not GROUPED_PRODUCTS:
    del PRODUCTS["grouped product"], PRODUCTS["product grouped by summed elements"]

LOSSES: Hand = {
    # 6 elements: subtract, square; the mean takes 5 additions and a division
    "mse": (run(functional.mse_loss), ((2, 3), (2, 3)), 0, 12 + 6),
    "mse summed": (run(lambda a, b: functional.mse_loss(a, b, reduction="sum")), ((2, 3), (2, 3)), 0, 12 + 5),
    "mse unreduced": (run(lambda a, b: functional.mse_loss(a, b, reduction="none")), ((2, 3), (2, 3)), 0, 12),
    "smooth l1": (run(functional.smooth_l1_loss), ((2, 3), (2, 3)), 0, 30 + 6),
    "huber": (run(functional.huber_loss), ((2, 3), (2, 3)), 0, 30 + 6),
    # subtract and absolute value as operators of their own
    "l1": (run(functional.l1_loss), ((2, 3), (2, 3)), 0, 12 + 6),
    "bce": (run(functional.binary_cross_entropy), ((2, 3), (2, 3)), 0, 48 + 6),
    "bce weighted": (run(functional.binary_cross_entropy), ((2, 3), (2, 3), (2, 3)), 0, 48 + 6 + 6),
    "bce with logits": (run(functional.binary_cross_entropy_with_logits), ((2, 3), (2, 3)), 0, 48 + 6),
    # multiply by the target, add, multiply: 3 more
    "bce with logits and a positive weight": (
        run(lambda a, b, w: functional.binary_cross_entropy_with_logits(a, b, pos_weight=w)),
        ((2, 3), (2, 3), (3,)), 0, (8 + 3) * 6 + 6,
    ),
    "soft margin": (run(functional.soft_margin_loss), ((2, 3), (2, 3)), 0, 30 + 6),
    # 2 targets: negate; their mean
    "nll": (run(functional.nll_loss), ((2, 3), TARGETS), 0, 2 + 2),
    # a weight for each, and the sum of the weights
    "nll weighted": (run(functional.nll_loss), ((2, 3), TARGETS, (3,)), 0, 2 + 2 + 2 + 2),
    "nll of images": (run(functional.nll_loss), ((2, 3, 4, 4), Shape(2, 4, 4, dtype="int64")), 0, 32 + 32),
    # log softmax, then as above
    "cross entropy": (run(functional.cross_entropy), ((2, 3), TARGETS), 0, 30 + 4),
    # 6 classes: subtract, add, compare, sum; 2 divisions; the mean of 2
    "multi margin": (run(functional.multi_margin_loss), ((2, 3), TARGETS), 0, 24 + 2 + 2),
    "multi margin squared": (run(lambda a, b: functional.multi_margin_loss(a, b, p=2)), ((2, 3), TARGETS), 0, 30 + 2 + 2),
    # targets of 4: 9 states of 2 samples in 6 steps
    "ctc": (
        run(lambda a, b: torch._ctc_loss(a, b, [6, 6], [4, 4])), ((6, 2, 5), Shape(2, 4, dtype="int64")), 0, 13 * 6 * 18,
    ),
    # subtract, square, add
    "distance of tensors": (run(torch.dist), ((2, 3), (2, 3)), 0, 18),
}  # fmt: skip

TRANSFORMS: Hand = {
    # 16 x 64 values: 5 x 1024 x 10
    "transform of two dimensions": (run(lambda x: torch.fft.fftn(x, dim=(1, 2))), ((1, 16, 64),), 0, 51200),
    "transform of all dimensions": (run(torch.fft.fftn), ((4, 8),), 0, 5 * 32 * 5),
    # 4 rows, padded to 16
    "padded transform": (run(lambda x: torch.fft.fft(x, n=16)), ((4, 8),), 0, 4 * 5 * 16 * 4),
    "transform of real values": (run(torch.fft.rfftn), ((4, 8),), 0, 5 * 32 * 5 // 2),
    # 9 values make 16 real ones; with n, 9 of which 8 are used
    "inverse of half a transform": (run(torch.fft.irfft), (ones(9, dtype=torch.complex64),), 0, 5 * 16 * 4 // 2),
    "inverse of a given length": (run(lambda x: torch.fft.irfft(x, n=8)), (ones(9, dtype=torch.complex64),), 0, 5 * 8 * 3 // 2),
    "inverse of two dimensions": (run(torch.fft.irfft2), (ones(4, 5, dtype=torch.complex64),), 0, 5 * 32 * 5 // 2),
    "Hermitian transform": (run(torch.fft.hfft), (ones(9, dtype=torch.complex64),), 0, 5 * 16 * 4 // 2),
    "inverse Hermitian transform": (run(torch.fft.ihfft), ((16,),), 0, 5 * 16 * 4 // 2),
    # 5 windows of 8: 5 x (5 x 8 x 3 / 2), each multiplied by the window
    "spectrogram": (
        run(lambda x, w: torch.stft(x, 8, 4, window=w, center=False, return_complex=True)), ((24,), (8,)), 0, 5 * 60 + 40,
    ),
}  # fmt: skip

SEARCHES: Hand = {
    # 8 elements sorted: 3 comparisons each, 1 with the neighbour
    "distinct of a run": (run(torch.unique_consecutive), (ones(8),), 0, 8),
    "distinct": (run(torch.unique), (ones(8),), 0, 8 * (3 + 1)),
    # 3 rows of 4: 2 comparisons to sort the rows, each of up to 4 elements, 1 with the neighbour
    "distinct rows": (run(lambda x: torch.unique(x, dim=0)), (ones(3, 4),), 0, 12 * 3),
    # 10 elements, searched among 4 edges, and counted
    "histogram": (run(lambda x, y: torch.histogram(x, y).hist), (ones(10), torch.arange(4.0)), 0, 10 * (3 + 1)),
    # 2 of 5 rows of 3
    "embedding of limited norm": (
        run(lambda x: torch.embedding_renorm_(x, torch.tensor([1, 4]), 1.0, 2.0)), (ones(5, 3),), 0, 18,
    ),
    # 4 tested elements: 2 comparisons each to sort, then 10 searches of 3
    "membership": (run(torch.isin), ((10,), (4,)), 0, 8 + 30),
    "membership of a number": (run(lambda x: torch.isin(x, 3.0)), ((10,),), 0, 10),
    "histogram of equal bins": (run(lambda x: torch.histc(x, 5, 0.0, 1.0)), ((10,),), 0, 60),
    "bin counts": (run(torch.bincount), (ones(10, dtype=torch.int64),), 0, 10),
    # 3 rows of 4 probabilities: divide by a draw; the largest takes one comparison each
    "one draw": (run(lambda x: torch.multinomial(x, 1)), (ones(3, 4),), 0, 36),
    # a sort of 4: 2 comparisons each
    "draws": (run(lambda x: torch.multinomial(x, 2)), (ones(3, 4),), 0, 12 * 2 + 12 * 2),
    # a running sum, normalised; 3 x 2 draws, each a search among 4
    "draws with replacement": (
        run(lambda x: torch.multinomial(x, 2, replacement=True)), (ones(3, 4),), 0, 12 * 2 + 6 * (1 + 3),
    ),
    "most frequent": (run(torch.mode), ((2, 8),), 0, 48),
    "sort of a number": (run(torch.sort), (ones(),), 0, 0),
    "limited norm": (run(lambda x: torch.renorm(x, 2, 0, 1.0)), ((2, 3),), 0, 18),
    # 4 rows of 3
    "reduced scatter": (
        run(lambda x, y: x.scatter_reduce(0, torch.zeros(4, 3, dtype=torch.int64), y, "amax")), ((7, 3), (4, 3)), 0, 12,
    ),
    # and a division of each of 7 x 3
    "mean of a scatter": (
        run(lambda x, y: x.scatter_reduce(0, torch.zeros(4, 3, dtype=torch.int64), y, "mean")), ((7, 3), (4, 3)), 0, 12 + 21,
    ),
    "reduced index": (
        run(lambda x, y: x.index_reduce(0, torch.zeros(4, dtype=torch.int64), y, "prod")), ((7, 3), (4, 3)), 0, 12,
    ),
    "scatter of a number": (
        run(lambda x: x.scatter(0, torch.zeros(2, 3, dtype=torch.int64), 2.0, reduce="multiply")), ((4, 3),), 0, 6,
    ),
    "reduced segments": (
        run(lambda x: torch.segment_reduce(x, "sum", lengths=torch.tensor([2, 4]), unsafe=True)), (ones(6, 2),), 0, 12,
    ),
    "product of all": (run(torch.prod), ((2, 3),), 0, 5),
    "comparison of tensors": (run(torch.equal), (ones(2, 3), ones(2, 3)), 0, 12),
    "tolerant comparison": (run(torch.allclose), (ones(2, 3), ones(2, 3)), 0, 42),
}  # fmt: skip

FACTORISATIONS: Hand = {
    # divisions 2 + 1, updates 2 x 2 and 1 x 1, two flops each
    "lu": (run(torch.linalg.lu_factor), ((3, 3),), 0, 3 + 8 + 2),
    # of 4 x 3: divisions 3 + 2 + 1, updates 3 x 2 and 2 x 1
    "lu of a tall matrix": (run(torch.linalg.lu), ((4, 3),), 0, 6 + 12 + 4),
    "determinant": (run(torch.linalg.det), ((3, 3),), 0, 13 + 2),
    # the logarithms of 3 elements, and their sum
    "logarithm of a determinant": (run(torch.linalg.slogdet), ((3, 3),), 0, 13 + 5),
    # two triangular solves of 9 for each of 2 columns
    "solve": (run(torch.linalg.solve), ((3, 3), (3, 2)), 0, 13 + 36),
    "inverse": (run(torch.linalg.inv), ((5, 3, 3),), 0, 5 * 54),
    # 3 roots, divisions 2 + 1, updates of 3 and 1 elements, two flops each
    "cholesky": (run(torch.linalg.cholesky), ((2, 3, 3),), 0, 2 * (3 + 3 + 8)),
    "cholesky solve": (run(torch.cholesky_solve), ((3, 2), (3, 3)), 0, 2 * 3 * 6),
    "cholesky inverse": (run(torch.cholesky_inverse), ((3, 3),), 0, 18),
    "triangular solve": (
        run(lambda a, b: torch.linalg.solve_triangular(a, b, upper=True)), ((3, 3), (3, 2)), 0, 18,
    ),
    # 2 multiplications and 2 subtractions less a division: n (n - 1)
    "triangular solve of a unit diagonal": (
        run(lambda a, b: torch.linalg.solve_triangular(a, b, upper=True, unitriangular=True)), ((3, 3), (3, 2)), 0, 12,
    ),
    # 2 x 3^2 x (6 - 1) = 90 for R, as much for Q
    "qr": (run(torch.linalg.qr), ((6, 3),), 0, 180),
    "qr without q": (run(lambda a: torch.linalg.qr(a, mode="r")), ((6, 3),), 0, 90),
    # 4 (108 - 54 + 9) for Q
    "complete qr": (run(lambda a: torch.linalg.qr(a, mode="complete")), ((6, 3),), 0, 90 + 252),
    "qr of a wide matrix": (run(torch.linalg.qr), ((3, 6),), 0, 180),
    # 4 x 6 x 3 x 3 - 2 x 9 x 9 + 36
    "product of reflections": (run(torch.linalg.householder_product), ((6, 3), (3,)), 0, 216 - 162 + 36),
    # 3 reflections of 6 change 2 columns: (72 - 18) each
    "reflected columns": (run(torch.ormqr), ((6, 3), (3,), (6, 2)), 0, 108),
    # qr 90, then 4 x 18 - 18 and 9 for each of 2 columns
    "least squares": (run(lambda a, b: torch.linalg.lstsq(a, b).solution), ((6, 3), (6, 2)), 0, 90 + 2 * 63),
    # 9 x 27, and 4/3 x 27
    "symmetric eigenvectors": (run(torch.linalg.eigh), ((3, 3),), 0, 243),
    "symmetric eigenvalues": (run(torch.linalg.eigvalsh), ((3, 3),), 0, 36),
    "eigenvectors": (run(torch.linalg.eig), (ones(3, 3).double(),), 0, 675),
    "eigenvalues": (run(torch.linalg.eigvals), (ones(3, 3).double(),), 0, 270),
    # 6 x 6 x 9 + 20 x 27
    "svd": (run(lambda a: torch.linalg.svd(a, full_matrices=False)), ((6, 3),), 0, 324 + 540),
    # 4 x 36 x 3 + 22 x 27
    "full svd": (run(torch.linalg.svd), ((6, 3),), 0, 432 + 594),
    # 2 x 6 x 9 + 2 x 27
    "singular values": (run(torch.linalg.svdvals), ((6, 3),), 0, 108 + 54),
    # svd 864, 3 divisions, 9 multiplications, 2 x 6 x 9
    "pseudo-inverse": (run(torch.linalg.pinv), ((6, 3),), 0, 864 + 3 + 9 + 108),
    "hermitian pseudo-inverse": (run(lambda a: torch.linalg.pinv(a, hermitian=True)), ((3, 3),), 0, 243 + 3 + 9 + 54),
    # square, add; the largest of 3 column sums; 2 x 3 x 4 + 2 x 8 for singular values, the larger of 2
    "Frobenius norm": (run(torch.linalg.norm), ((2, 3),), 0, 12),
    "largest column sum": (run(lambda a: torch.linalg.norm(a, 1)), ((2, 3),), 0, 12 + 2),
    "spectral norm": (run(lambda a: torch.linalg.matrix_norm(a, 2)), ((2, 3),), 0, 40 + 1),
    "ldl": (run(lambda a: torch.linalg.ldl_factor(a).LD), ((3, 3),), 0, 3 + 8),
    "trace": (run(torch.trace), ((3, 4),), 0, 2),
    "cross": (run(torch.linalg.cross), ((5, 3), (5, 3)), 0, 45),
}  # fmt: skip

MAKERS: Hand = {
    "permutation": (run(lambda x: x[torch.randperm(10)]), ((10, 8),), 0, 10),
    # 8 elements: multiply, cos, multiply, subtract; then 8 products
    "window": (run(lambda x: x * torch.hann_window(8)), ((8,),), 0, 32 + 8),
    "kaiser window": (run(lambda x: x * torch.kaiser_window(8)), ((8,),), 0, 64 + 8),
    "steps": (run(lambda x: x * torch.linspace(0, 1, 8)), ((8,),), 0, 8 + 8),
    "powers": (run(lambda x: x * torch.logspace(0, 1, 8)), ((8,),), 0, 16 + 8),
    "numbers": (run(lambda x: x + torch.arange(8)), ((8,),), 0, 8),
    "constants": (run(lambda x: x + torch.eye(8) + torch.full((8,), 2.0)), ((8,),), 0, 64 + 64),
}  # fmt: skip

NEED_VALUES = frozenset(
    {
        "distinct of a run",
        "distinct",
        "distinct rows",
        "histogram",
        "bin counts",
        "embedding of limited norm",
        "comparison of tensors",
        "tolerant comparison",
        "least squares",
    }
)
"""The modules whose operators need the values of their inputs."""

OTHERS: Hand = {**PRODUCTS, **LOSSES, **TRANSFORMS, **SEARCHES, **FACTORISATIONS, **MAKERS}
