"""The other counters: each takes a module and its arguments, and returns its total, called as its documentation shows."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module

Counter = Callable[["Module", Sequence[Any], Mapping[str, Any]], int]
"""A function from a module in eval mode, and the arguments of its forward, to the counter's total in its unit."""


class CounterError(ValueError):
    """A counter that cannot take a model."""


def by_position(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return all arguments by position, for counters that pass none by name; the forward of `module` takes them so."""
    forward, names = module.forward, tuple(kwargs)

    def renamed(*values: Any) -> Any:
        return forward(*values[: len(args)], **dict(zip(names, values[len(args) :], strict=True)))

    if names:
        module.forward = renamed
    return (*args, *kwargs.values())


def fvcore_analysis(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return fvcore's analysis of a forward, which traces it with `torch.jit` when asked for a number."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            # fvcore compiles losses with it when it is imported; no count needs them
            warnings.filterwarnings("ignore", r"`torch\.jit\.script` is", category, r"torch\.jit\._script$")
        from fvcore.nn import FlopCountAnalysis

    analysis: Any = FlopCountAnalysis(module, by_position(module, args, kwargs))
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)


def fvcore(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with fvcore."""
    return int(fvcore_analysis(module, args, kwargs).total())


def flop_counter(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with PyTorch's FlopCounterMode, which runs the module."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*args, **kwargs)
    return int(counter.get_total_flops())


def flop_counter_meta(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with FlopCounterMode on tensors without data; the module keeps none."""
    from torch import Tensor

    from mbanalyze.trace.torch_internals import tree_map_only

    args, kwargs = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (tuple(args), dict(kwargs)))
    return flop_counter(module.to("meta"), args, kwargs)


def torchinfo(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with torchinfo, which runs the module with hooks."""
    import torchinfo

    return int(torchinfo.summary(module, input_data=list(args), verbose=0, **kwargs).total_mult_adds)


def ptflops(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any], backend: str = "pytorch") -> int:
    """Count with ptflops, which runs the module with hooks and replaced functions."""
    import ptflops

    given = _one_input(args, kwargs)
    with redirect_stdout(io.StringIO()) as printed:
        macs, _ = ptflops.get_model_complexity_info(
            module,
            (1,),
            input_constructor=lambda _: given,
            as_strings=False,
            print_per_layer_stat=False,
            backend=backend,
        )
    if macs is None:
        # it prints the class of the exception and its message after these words
        said = printed.getvalue().partition("following exception: \n<class '")[2].partition("\n")[0]
        error = said.replace("'>", "", 1) or "an error of the model"
        raise CounterError(f"ptflops stopped at {error}")
    return int(macs)


def ptflops_aten(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with the other back end of ptflops, a dispatch mode."""
    return ptflops(module, args, kwargs, "aten")


def _one_input(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The input of a model as ptflops takes it: one tensor, or keyword arguments."""
    if (args and kwargs) or len(args) > 1:
        raise CounterError("ptflops takes one positional argument, or keyword arguments alone")
    return args[0] if args else dict(kwargs)


def torchprofile(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with torchprofile, by tracing with `torch.jit`."""
    import torchprofile

    macs: Any = torchprofile.profile_macs(module, by_position(module, args, kwargs))
    return int(macs)


def calflops(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with calflops, which runs the module with replaced functions."""
    import calflops

    _, macs, _ = calflops.calculate_flops(
        module,
        args=list(args),
        kwargs=dict(kwargs),
        print_results=False,
        print_detailed=False,
        output_as_string=False,
    )
    return int(macs)


def thop(module: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count with thop, which runs the module with hooks."""
    import thop

    macs, _ = thop.profile(module, by_position(module, args, kwargs), verbose=False)
    return int(macs)


COUNTERS: dict[str, Counter] = {
    "fvcore": fvcore,
    "flop-counter": flop_counter,
    "flop-counter-meta": flop_counter_meta,
    "torchinfo": torchinfo,
    "ptflops": ptflops,
    "ptflops-aten": ptflops_aten,
    "torchprofile": torchprofile,
    "calflops": calflops,
    "thop": thop,
}
"""The name of a convention -> the function that counts with its counter."""
