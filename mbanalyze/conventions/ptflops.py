"""ptflops with its PyTorch back end: hooks of some exact classes of modules, and replaced Python functions."""

from __future__ import annotations

from collections.abc import Iterator

from mbanalyze.conventions.call_rules import BIAS, LINEAR, each_input, each_output
from mbanalyze.conventions.convention import Amount, Convention, Record, Rule
from mbanalyze.conventions.function_rules import (
    ADDED_MATRIX,
    ELEMENTWISE,
    INTERPOLATE,
    MATRIX_PRODUCT,
    SUMMED_PRODUCT,
    each_element,
)
from mbanalyze.conventions.ptflops_modules import (
    ATTENTION,
    ATTENTION_BIAS,
    ATTENTION_SOFTMAX,
    CONV,
    CONV_BIAS,
    DEFORMED,
    HEAD_PRODUCTS,
    HEAD_SOFTMAX,
    NORM,
    TRANSPOSED,
    UPSAMPLE,
)
from mbanalyze.conventions.recurrent_rules import BIASES, GATES, RECURRENT, UNBATCHED
from mbanalyze.ops.calls import FunctionCall, ModuleCall

_BY_MODULE = each_output(1)
_POOL = each_input(1)
_DIMENSIONS = ("1d", "2d", "3d")
_POOLS = ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool")
_POOL_FUNCTIONS = ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool")

CLASSES: dict[str, tuple[Rule[ModuleCall], ...]] = {
    **{f"nn.Conv{d}": (CONV, CONV_BIAS) for d in _DIMENSIONS},
    **{f"nn.ConvTranspose{d}": (TRANSPOSED, CONV_BIAS) for d in _DIMENSIONS},
    "torchvision.ops.deform_conv.DeformConv2d": (CONV, DEFORMED, CONV_BIAS),
    "nn.Linear": (LINEAR, BIAS),
    **dict.fromkeys(("nn.ReLU", "nn.PReLU", "nn.ELU", "nn.LeakyReLU", "nn.ReLU6", "nn.GELU"), (_BY_MODULE,)),
    **{f"nn.{pool}{d}": (_POOL,) for pool in _POOLS for d in _DIMENSIONS},
    **{f"nn.{norm}{d}": (NORM,) for norm in ("BatchNorm", "InstanceNorm") for d in _DIMENSIONS},
    **dict.fromkeys(("nn.GroupNorm", "nn.LayerNorm"), (NORM,)),
    "nn.Upsample": (UPSAMPLE,),
    **{
        f"nn.{cell}{end}": (RECURRENT, BIASES, GATES, UNBATCHED)
        for cell in ("RNN", "GRU", "LSTM")
        for end in ("", "Cell")
    },
    "nn.MultiheadAttention": (ATTENTION, ATTENTION_SOFTMAX, ATTENTION_BIAS),
    "timm.layers.attention.Attention": (HEAD_PRODUCTS, HEAD_SOFTMAX),
}
"""The classes with a hook, whose amounts are divided by the batch size; modules inside them count nothing."""

_ALSO_BY_MODULE = each_element("1 for each input element by the function, also inside a module")
_BY_FUNCTION = each_element("1 for each input element by the function")

FUNCTIONS: dict[str, tuple[Rule[FunctionCall], ...]] = {
    **{f"torch.nn.functional.{name}": (_ALSO_BY_MODULE,) for name in ("relu", "prelu", "elu", "gelu")},
    **{f"torch.nn.functional.{name}": (_BY_FUNCTION,) for name in ("relu6", "silu", "softmax")},
    **{f"torch.nn.functional.{pool}{d}": (_ALSO_BY_MODULE,) for pool in _POOL_FUNCTIONS for d in _DIMENSIONS},
    **{f"torch.nn.functional.{name}": (INTERPOLATE,) for name in ("interpolate", "upsample")},
    **{f"torch.{holder}{name}": (MATRIX_PRODUCT,) for holder in ("", "Tensor.") for name in ("matmul", "mm", "bmm")},
    **dict.fromkeys(("torch.addmm", "torch.Tensor.addmm", "torch.baddbmm"), (SUMMED_PRODUCT, ADDED_MATRIX)),
    **{f"torch.{holder}{name}": (ELEMENTWISE,) for holder in ("", "Tensor.") for name in ("add", "mul")},
}  # fmt: skip
"""The functions that it replaces, whose amounts are not divided; `+`, `*`, `@` and `linear` are none of these."""


def _shared_and_divided(record: Record) -> Iterator[Amount]:
    """A module that several modules hold is added for each of them, and the sum of all modules is divided.

    The total is rounded down once, so that each module gets the difference of two rounded sums.
    """
    before = 0
    for call in PTFLOPS.hooked(record):
        once = sum(rule.count(call) for rule in CLASSES.get(call.type, ()))
        after = before + once * call.places
        kept = after // record.batch - before // record.batch
        again, divided = once * (call.places - 1), kept - once * call.places
        yield Amount(
            f"{call.type}: counted again for each module that holds it", again, call.first, call.last, False
        )
        yield Amount("amounts of modules divided by the batch size", divided, call.first, call.last, False)
        before = after


PTFLOPS = Convention(
    "ptflops",
    "ptflops, PyTorch back end",
    "ptflops",
    "0.7.5",
    classes=CLASSES,
    functions=FUNCTIONS,
    record_rules=(_shared_and_divided,),
    closed=frozenset(CLASSES),
)
