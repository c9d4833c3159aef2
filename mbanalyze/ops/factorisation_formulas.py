"""The formulas of factorisations and solvers of matrices.

A factorisation counts flops and no multiply-accumulates.
LU and Cholesky factorisations and triangular solves count every operation of the textbook loops.
The others count the leading terms of the source. They do not depend on values, as iterations are counted on average.

GVL stands for Golub and Van Loan, Matrix Computations, 4th edition, 2013.
"""

from __future__ import annotations

from math import prod

from mbanalyze.ops.derivations import Formula
from mbanalyze.ops.record import Op, Value


def _batches(matrix: Value) -> int:
    """The number of matrices in a batch."""
    return prod(matrix.shape[:-2])


def _sides(matrix: Value) -> tuple[int, int]:
    """The longer and the shorter side of a matrix."""
    return max(matrix.shape[-2:]), min(matrix.shape[-2:])


def _lu_flops(m: int, n: int) -> int:
    """The flops of the LU factorisation of one matrix of `m` rows and `n` columns."""
    return sum((m - i) * (1 + 2 * (n - i)) for i in range(1, min(m, n) + 1))


def lu(op: Op) -> tuple[int, int]:
    """Step `i` divides `m - i` elements and updates a block of `(m - i) (n - i)`: about `2/3 n^3` in all.

    Source: GVL algorithm 3.2.1.
    """
    matrix = op.operands[0]
    m, n = matrix.shape[-2:]
    return 0, _batches(matrix) * _lu_flops(m, n)


def determinant(op: Op) -> tuple[int, int]:
    """An LU factorisation, and the product of its `n` diagonal elements, or the sum of their logarithms."""
    matrix = op.operands[0]
    n = matrix.shape[-1]
    steps = 2 * n - 1 if op.attribute("logarithm") else n - 1
    return 0, _batches(matrix) * (_lu_flops(n, n) + max(steps, 0))


def solve(op: Op) -> tuple[int, int]:
    """An LU factorisation, then two triangular solves of `n^2` flops for each right-hand side."""
    # [*, n, k] = solve([*, n, n], [*, n, k])
    matrix = op.operands[0]
    n = matrix.shape[-1]
    return 0, _batches(matrix) * _lu_flops(n, n) + 2 * n * op.output[0].size


def factored_solve(op: Op) -> tuple[int, int]:
    """Two triangular solves of `n^2` flops for each right-hand side.

    Source: GVL section 3.1.
    """
    return 0, 2 * op.operands[0].shape[-1] * op.output[0].size


def triangular_solve(op: Op) -> tuple[int, int]:
    """`n (n - 1)` multiplications and subtractions and `n` divisions for each right-hand side.

    Source: GVL section 3.1.
    """
    n = op.operands[0].shape[-1]
    return 0, (n - 1 if op.attribute("unit") and n else n) * op.output[0].size


def inverse(op: Op) -> tuple[int, int]:
    """`2 n^3`: an LU factorisation, and the solution for the identity that uses its zeros.

    Source: LAPACK Working Note 41, appendix C.
    """
    return 0, 2 * op.output[0].size * op.operands[0].shape[-1]


def cholesky(op: Op) -> tuple[int, int]:
    """Column `i` takes a root, `n - i` divisions and an update of the lower triangle: about `1/3 n^3` in all.

    Source: GVL algorithm 4.2.2.
    """
    matrix = op.operands[0]
    n = matrix.shape[-1]
    return 0, _batches(matrix) * (n + sum(i + i * (i + 1) for i in range(n)))


def ldl(op: Op) -> tuple[int, int]:
    """The work of a Cholesky factorisation without its roots: about `1/3 n^3`.

    Source: GVL section 4.4.
    """
    return 0, cholesky(op)[1] - _batches(op.operands[0]) * op.operands[0].shape[-1]


def cholesky_inverse(op: Op) -> tuple[int, int]:
    """`2/3 n^3`, from the triangular factor.

    Source: LAPACK Working Note 41, appendix C.
    """
    matrix = op.operands[0]
    return 0, _batches(matrix) * (2 * matrix.shape[-1] ** 3 // 3)


def qr(op: Op) -> tuple[int, int]:
    """`2 n^2 (m - n/3)` for `R` of `m` rows and `n <= m` columns, as much again for the first columns of `Q`.

    All of `Q` takes `4 (m^2 n - m n^2 + n^3 / 3)`. If `n > m`, both change places.

    Source: GVL section 5.2.2.
    """
    matrix = op.operands[0]
    m, n = _sides(matrix)
    r = (6 * m * n * n - 2 * n**3) // 3
    complete = (12 * (m * m * n - m * n * n) + 4 * n**3) // 3
    mode = op.attribute("mode")
    return 0, _batches(matrix) * (r + (0 if mode == "r" else complete if mode == "complete" else r))


def householder_product(op: Op) -> tuple[int, int]:
    """`4 m n k - 2 (m + n) k^2 + 4/3 k^3` for `m` rows, `n` columns and `k` reflections.

    Source: LAPACK Working Note 41, appendix C.
    """
    # [*, m, n] = householder_product([*, m, n], [*, k])
    matrix, reflections = op.operands
    (m, n), k = matrix.shape[-2:], reflections.shape[-1]
    return 0, _batches(matrix) * max((12 * m * n * k - 6 * (m + n) * k * k + 4 * k**3) // 3, 0)


def householder_multiply(op: Op) -> tuple[int, int]:
    """`k` reflections of length `m` change each column: `4 m k - 2 k^2` flops a column.

    Source: GVL section 5.1.6.
    """
    # [*, m, n] = householder_multiply([*, m, k], [*, k], [*, m, n])
    k, m = op.operands[1].shape[-1], op.operands[0].shape[-2]
    columns = op.output[0].size // max(m, 1)
    return 0, max(4 * m * k - 2 * k * k, 0) * columns


def least_squares(op: Op) -> tuple[int, int]:
    """A QR factorisation, whose `n` reflections change each right-hand side, and a triangular solve.

    Source: GVL section 5.3.2.
    """
    # [*, n, k] = least_squares([*, m, n], [*, m, k])
    matrix, right = op.operands
    m, n = _sides(matrix)
    each = 4 * m * n - 2 * n * n + n * n
    factor = (6 * m * n * n - 2 * n**3) // 3
    columns = prod(right.shape) // max(matrix.shape[-2], 1)
    return 0, _batches(matrix) * factor + columns * each


def eigh(op: Op) -> tuple[int, int]:
    """`4/3 n^3` for the eigenvalues of a symmetric matrix, `9 n^3` with its eigenvectors.

    Source: GVL section 8.3.
    """
    matrix = op.operands[0]
    cube = matrix.shape[-1] ** 3
    return 0, _batches(matrix) * (9 * cube if op.attribute("vectors") else 4 * cube // 3)


def eig(op: Op) -> tuple[int, int]:
    """`10 n^3` for the eigenvalues of a general matrix, `25 n^3` with its eigenvectors.

    Source: GVL section 7.5.6.
    """
    matrix = op.operands[0]
    return 0, _batches(matrix) * (25 if op.attribute("vectors") else 10) * matrix.shape[-1] ** 3


def _svd_flops(m: int, n: int, vectors: str) -> int:
    return {
        "none": 2 * m * n * n + 2 * n**3,
        "thin": 6 * m * n * n + 20 * n**3,
        "full": 4 * m * m * n + 22 * n**3,
    }[vectors]


def svd(op: Op) -> tuple[int, int]:
    """`2 m n^2 + 2 n^3` for the singular values of `m` rows and `n <= m` columns.

    With `n` singular vectors on each side it is `6 m n^2 + 20 n^3`, and with all of them `4 m^2 n + 22 n^3`.
    If `n > m`, both change places.

    Source: GVL figure 8.6.1, R-bidiagonalisation.
    """
    matrix = op.operands[0]
    return 0, _batches(matrix) * _svd_flops(*_sides(matrix), str(op.attribute("vectors")))


def pseudo_inverse(op: Op) -> tuple[int, int]:
    """A singular value decomposition, or that of a Hermitian matrix into eigenvectors, and the product of its factors.

    One factor is scaled by the inverse singular values: `n` divisions, `n^2` multiplications, and then `2 m n^2`.
    """
    matrix = op.operands[0]
    m, n = _sides(matrix)
    factor = 9 * n**3 if op.attribute("hermitian") else _svd_flops(m, n, "thin")
    return 0, _batches(matrix) * (factor + n + n * n + 2 * m * n * n)


FACTORISATIONS: dict[str, Formula] = {
    "lu": lu,
    "determinant": determinant,
    "solve": solve,
    "factored_solve": factored_solve,
    "triangular_solve": triangular_solve,
    "inverse": inverse,
    "cholesky": cholesky,
    "ldl": ldl,
    "cholesky_inverse": cholesky_inverse,
    "qr": qr,
    "householder_product": householder_product,
    "householder_multiply": householder_multiply,
    "least_squares": least_squares,
    "eigh": eigh,
    "eig": eig,
    "svd": svd,
    "pseudo_inverse": pseudo_inverse,
}
"""Kind of factorisation or solver -> its formula."""
