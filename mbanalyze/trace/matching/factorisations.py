"""Matchers of factorisations and solvers of matrices."""

from __future__ import annotations

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments


def qr(args: Arguments) -> Match:
    """Match a QR factorisation, which may leave out Q."""
    mode = args["mode"]
    return Match("qr", (args["A"],), {"mode": mode}, 2)


def svd(args: Arguments) -> Match:
    """Match a singular value decomposition, with or without vectors."""
    if not args["compute_uv"]:
        return singular_values(args)
    return Match("svd", (args["A"],), {"vectors": "full" if args["full_matrices"] else "thin"})


def singular_values(args: Arguments) -> Match:
    """Match a singular value decomposition without vectors."""
    return Match("svd", (args["A"],), {"vectors": "none"})


def eigh(args: Arguments) -> Match:
    """Match the eigenvalues of a symmetric matrix, with or without vectors."""
    return Match("eigh", (args["A"],), {"vectors": bool(args["compute_v"])})


def symmetric_eigenvalues(args: Arguments) -> Match:
    """Match the eigenvalues of a symmetric matrix."""
    return Match("eigh", (args["self"],), {"vectors": False})


def eig(args: Arguments, *, vectors: bool) -> Match:
    """Match the eigenvalues of a general matrix, with or without vectors."""
    return Match("eig", (args["self"],), {"vectors": vectors})


def log_determinant(args: Arguments) -> Match:
    """Match the sign and the logarithm of a determinant."""
    return Match("determinant", (args["A"],), {"logarithm": True}, 2)


def reflections(args: Arguments) -> Match:
    """Match a QR factorisation whose Q stays a product of reflections."""
    return Match("qr", (args["self"],), {"mode": "r"})


def pseudo_inverse(args: Arguments) -> Match:
    """Match a pseudo-inverse."""
    return Match("pseudo_inverse", (args["self"],), {"hermitian": bool(args["hermitian"])})


def triangular_solve(args: Arguments, *, names: tuple[str, str], outputs: int | None = None) -> Match:
    """Match the solution of a triangular system; `names` are the arguments of its matrix and right-hand side."""
    matrix, right = [args[name] for name in names]
    unit = {"unit": True} if args["unitriangular"] else {}
    return Match("triangular_solve", (matrix, right), unit, outputs)


def trace(args: Arguments) -> Match:
    """Match the sum of a diagonal."""
    return Match("reduce", (args["self"].diagonal(),))
