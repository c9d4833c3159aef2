"""The operators that have one kind whatever their attributes and versions."""

from __future__ import annotations

ELEMENT_BY_ELEMENT = {
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "ThresholdedRelu": "threshold",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "Softplus": "softplus",
    "Mish": "mish",
    "Elu": "elu",
    "Celu": "celu",
    "Selu": "selu",
    "Erf": "erf",
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Pow": "pow",
    "Mod": "remainder",
    "Neg": "neg",
    "Abs": "abs",
    "Sign": "sign",
    "Reciprocal": "reciprocal",
    "Sqrt": "sqrt",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Exp": "exp",
    "Log": "log",
    "Sin": "sin",
    "Cos": "cos",
    "Tan": "tan",
    "Sinh": "sinh",
    "Cosh": "cosh",
    "Tanh": "tanh",
    "Asin": "asin",
    "Acos": "acos",
    "Atan": "atan",
    "Asinh": "asinh",
    "Acosh": "acosh",
    "Atanh": "atanh",
    "Equal": "eq",
    "Less": "lt",
    "LessOrEqual": "le",
    "Greater": "gt",
    "GreaterOrEqual": "ge",
    "IsNaN": "isnan",
    "IsInf": "isinf",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "Not": "logical_not",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "BitwiseNot": "bitwise_not",
    "BitShift": "shift",
    "Where": "where",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Concat": "cat",
    "HannWindow": "cosine_window",
    "HammingWindow": "cosine_window",
    "BlackmanWindow": "blackman_window",
}
"""Operator -> the kind that reads all of its tensors."""

OF_FIRST_INPUT = {
    **dict.fromkeys(("Cast", "CastLike", "BitCast", "Transpose", "Split", "Expand"), "copy"),
    "Tile": "repeat",
    "CenterCropPad": "pad",
    "Trilu": "triangle",
    "ReverseSequence": "flip",
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), "shuffle"),
    **dict.fromkeys(("ArgMax", "ArgMin"), "reduce"),
    **dict.fromkeys(("CumSum", "CumProd"), "cumulate"),
    "NonZero": "nonzero",
    "Bernoulli": "random",
    "Det": "determinant",
    "Col2Im": "scatter_add",
    "GlobalAveragePool": "global_avg_pool",
    "AffineGrid": "affine_grid",
    "OneHot": "scatter",
}
"""Operator -> the kind that reads its first input; the others are settings."""

OF_TWO_INPUTS = {
    "PRelu": "prelu",
    "MaxUnpool": "scatter",
    **dict.fromkeys(("GatherElements", "GatherND", "Compress"), "gather"),
}
"""Operator -> the kind that reads its first two inputs, even if the second is one number."""

REDUCTIONS = {
    **dict.fromkeys(("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"), "reduce"),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceSumSquare"), "norm"),
    "ReduceLogSumExp": "log_sum_exp",
}
"""Reduction -> its kind."""

OF_ELEMENTS = {
    "Softsign": 3,  # absolute value, increment, divide
    "LpNormalization": 3,  # power, add, divide
}
"""Operator of several steps -> their flops for each element."""

DRAWS = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike")
"""The operators that fill a tensor with random numbers, and read nothing."""

ALLOCATIONS = ("ConstantOfShape", "EyeLike", "Range")
"""The operators that make a tensor of constants or of consecutive numbers."""
