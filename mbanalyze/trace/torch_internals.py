"""The private names of PyTorch that this package uses: the meaning of each, and the consequence of its absence.

PyTorch may change them in any release. All other files import them from here, under names without an underscore.
If a required name is missing, this file raises an `UnsupportedTorchError` at its import, and no trace starts.
If an optional name is missing, what its line describes is left out.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as _hooked_modules
from torch.nn.utils.rnn import PackedSequence

__all__ = [
    "ACCUMULATE_HOOKS", "BUFFERS", "COMPILED_CALL", "COMPILER", "GLOBAL_HOOKS", "HOOKS", "LAZY_INIT",
    "LEAF_METHODS", "MODULES", "NEWEST", "OLDEST", "PARAMETERS", "QUANTIZED_DECOMPOSED", "SYM_SQRT",
    "VERSION", "DisableTorchDispatch", "DisableTorchFunction", "DispatchKey", "DispatchKeySet",
    "DispatchMode", "FakeTensor", "FakeTensorMode", "HigherOrderOperator", "NeedsShape", "NeedsValues",
    "OpOverload", "OpOverloadPacket", "Setting", "TensorBase", "UnsupportedTorchError", "address",
    "attention_flag", "autocast_casts", "can_decompose", "default_device", "delay_gpu", "disable_dynamo",
    "dispatch_mode_count", "dispatch_modes", "enter_mode", "flag", "function_mode_count",
    "function_modes", "get_onednn_enabled", "has_kernel", "innermost_transform", "is_compile_supported",
    "kernel_choice", "kernels_chosen", "leave_mode", "lift_only_cpu", "make_wrapper", "mode_key",
    "no_dispatch", "pack_padded_sequence", "pad_packed_sequence", "pop_dispatch_mode",
    "pop_function_mode", "precisions", "preserve_version", "print_options", "push_dispatch_mode",
    "push_function_mode", "require_version", "schema_of", "script_type", "set_default_device",
    "set_grad_enabled", "set_onednn_enabled", "set_version", "sparse_indices", "sparse_values",
    "swap_tensors", "take_higher_order", "tree_leaves", "tree_map", "tree_map_only",
    "unset_fake_temporarily", "unwrapped", "wraps_tensors",
]  # fmt: skip

OLDEST = (2, 6)
"""The oldest release of PyTorch on which the tests pass."""

NEWEST = (2, 14)
"""The newest release of PyTorch on which the tests were run."""


class UnsupportedTorchError(RuntimeError):
    """The installed PyTorch is too old, or lacks a name that this package needs."""


def require_version(version: str) -> None:
    """Raise `UnsupportedTorchError` if a version of PyTorch, such as `2.5.1+cpu`, is older than `OLDEST`."""
    found = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if found < OLDEST:
        plain = version.partition("+")[0]
        raise UnsupportedTorchError(f"mbanalyze needs torch {_dotted(OLDEST)} or newer (found {plain})")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


require_version(torch.__version__)

# Required names
# isort: off (one line for each)
try:
    from torch import (
        _pack_padded_sequence as pack_padded_sequence,  # the operator inside `nn.utils.rnn`
    )
    from torch import (
        _pad_packed_sequence as pad_packed_sequence,  # the operator inside `nn.utils.rnn`
    )
    from torch._C import (
        DisableTorchFunction,  # a context without function modes and overridden functions
        DispatchKey,  # a kind of kernels, such as those of autocast
        DispatchKeySet,  # the kinds of kernels that a call may use
        TensorBase,  # the base of `Tensor`, whose properties no class replaces
    )
    from torch._C import (
        _DisableTorchDispatch as DisableTorchDispatch,  # a context without dispatch modes
    )
    from torch._C import (
        _dispatch_has_kernel_for_dispatch_key as has_kernel,  # True if an operator has a kernel of some kind
    )
    from torch._C import (
        _dispatch_tls_local_exclude_set as excluded_keys,  # the kernels that this thread must not use
    )
    from torch._C import (
        _dispatch_tls_local_include_set as included_keys,  # the kernels that this thread adds
    )
    from torch._C import (
        _ForceDispatchKeyGuard as ForceDispatchKeyGuard,  # sets the kernels of this thread until it is freed
    )
    from torch._C import (
        _get_mkldnn_enabled as get_onednn_enabled,  # True if kernels of oneDNN may run
    )
    from torch._C import (
        _len_torch_dispatch_stack as dispatch_mode_count,  # the number of active dispatch modes
    )
    from torch._C import (
        _len_torch_function_stack as function_mode_count,  # the number of active function modes
    )
    from torch._C import (
        _pop_torch_dispatch_stack as pop_dispatch_mode,  # leaves the innermost dispatch mode, or one with a key
    )
    from torch._C import (
        _pop_torch_function_stack as pop_function_mode,  # leaves the innermost function mode
    )
    from torch._C import (
        _push_on_torch_dispatch_stack as push_dispatch_mode,  # enters a dispatch mode
    )
    from torch._C import (
        _push_on_torch_function_stack as push_function_mode,  # enters a function mode
    )
    from torch._C import (
        _set_grad_enabled as set_grad_enabled,  # a function; the public one is a context as well
    )
    from torch._C import (
        _set_mkldnn_enabled as set_onednn_enabled,  # the public setter changes other flags, with a warning
    )
    from torch._C import (
        _swap_tensor_impl as swap_tensors,  # exchanges two tensors; the public one refuses some
    )
    from torch._C._autograd import _unsafe_set_version_counter as _set_versions  # sets versions of tensors
    from torch._C._functorch import peek_interpreter_stack as innermost_transform  # `vmap`, `grad` or None
    from torch._ops import (
        HigherOrderOperator,  # the class of operators that run functions
        OpOverload,  # the class of all others
        OpOverloadPacket,  # the overloads of an operator
    )
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException as NeedsValues,  # an operator on fake tensors needs values
    )
    from torch._subclasses.fake_tensor import (
        DynamicOutputShapeException as NeedsShape,  # an operator on fake tensors has a shape that values decide
    )
    from torch._subclasses.fake_tensor import (
        FakeTensor,  # a tensor without data that has a device
        FakeTensorMode,  # the mode that runs operators on fake tensors
        unset_fake_temporarily,  # a context without that mode
    )
    from torch.autograd.grad_mode import (
        _unsafe_preserve_version_counter as preserve_version,  # keeps a version
    )
    from torch.overrides import _get_current_function_mode_stack as function_modes  # the active ones
    from torch.utils._mode_utils import no_dispatch  # a context without dispatch modes
    from torch.utils._python_dispatch import (
        TorchDispatchMode,  # a context that sees every operator
    )
    from torch.utils._python_dispatch import (
        _get_current_dispatch_mode_stack as dispatch_modes,  # the active ones
    )
    from torch.utils._python_dispatch import (
        _pop_mode as leave_mode,  # leaves the innermost dispatch mode
    )
    from torch.utils._python_dispatch import (
        _push_mode as enter_mode,  # enters a dispatch mode
    )
    from torch.utils._python_dispatch import (
        is_traceable_wrapper_subclass as wraps_tensors,  # True for a tensor that is made of others
    )
    from torch.utils._pytree import (
        SUPPORTED_NODES,  # the types of containers
        register_pytree_node,  # adds a type of containers
        tree_leaves,  # the values in nested containers
        tree_map,  # the same containers with a function of each value
        tree_map_only,  # the same for values of one type
    )

    can_decompose = OpOverload._can_decompose  # True if an operator is a composition of others
    make_wrapper = Tensor._make_wrapper_subclass  # a tensor without elements, of a class that dispatches
    sparse_indices = Tensor._indices  # the indices of a sparse tensor, which need not be coalesced
    sparse_values = Tensor._values  # the elements of a sparse tensor, which need not be coalesced
    _required = torch.ops.aten.relu.default._schema, Tensor._cdata, torch.UntypedStorage._cdata
except (ImportError, AttributeError) as _error:
    _tested = f"{_dotted(OLDEST)} to {_dotted(NEWEST)}"
    raise UnsupportedTorchError(
        f"torch {torch.__version__} lacks a name that mbanalyze needs ({_error}): install torch {_tested}"
    ) from _error
# isort: on

address = attrgetter("_cdata")
"""The address of a storage or tensor object, which identifies it also if it has no data."""

schema_of = attrgetter("_schema")
"""The signature of an operator."""


def set_version(tensor: Tensor, version: int) -> None:
    """Set the number of writes to a tensor; PyTorch 2.6 takes one tensor, and newer releases several."""
    try:
        _set_versions((tensor,), (version,))
    except TypeError:
        _set_versions(tensor, version)  # type: ignore[arg-type]


autocast_casts = attrgetter("_enabled")
"""True if an autocast context casts, and does not turn casts off."""

PARAMETERS, BUFFERS, MODULES = "_parameters", "_buffers", "_modules"
"""The dicts of a module: its parameters, buffers and children by name."""

VERSION, HOOKS, ACCUMULATE_HOOKS = "_version", "_backward_hooks", "_post_accumulate_grad_hooks"
"""Properties of a tensor: the number of writes to it, and its hooks."""


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode whose first call does not import PyTorch's compiler; it does if the hook has gone."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __exit__(self, *error: object) -> None:
        _held = dispatch_modes()  # PyTorch 2.9 reads a mode after its release, if a forward has left it there
        super().__exit__(*error)  # type: ignore[no-untyped-call]


def take_higher_order(kind: type[DispatchMode]) -> None:
    """Let a dispatch mode see operators that run functions. In PyTorch 2.7 and older, each has a table."""
    if hasattr(TorchDispatchMode, "supports_higher_order_operators"):
        return
    for operator in torch._ops._higher_order_ops.values():
        operator.python_key_table.setdefault(kind, partial(_dispatched, operator))


def _dispatched(operator: HigherOrderOperator, mode: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of a dispatch mode for an operator that runs functions."""
    return mode.__torch_dispatch__(operator, (), args, kwargs)


_KEY_SETS: dict[int, DispatchKeySet] = {}
"""The kernels that a thread has added or must not use, by number: PyTorch 2.6 makes none from its number."""


def kernel_choice() -> tuple[int, int]:
    """Return the kernels that this thread adds, and those that it must not use, as numbers."""
    added, avoided = included_keys(), excluded_keys()
    _KEY_SETS.update({added.raw_repr(): added, avoided.raw_repr(): avoided})
    return added.raw_repr(), avoided.raw_repr()


def kernels_chosen(choice: tuple[int, int]) -> Any:
    """Return a guard that sets the kernels of this thread until it is freed, to those of an earlier time."""
    added, avoided = choice
    return ForceDispatchKeyGuard(_KEY_SETS[added], _KEY_SETS[avoided])


def _see_packed_sequences() -> None:
    """Let `tree_map` see the tensors of a packed sequence, a named tuple that PyTorch 2.7 and older take as a leaf."""
    none = torch.empty(0, dtype=torch.int64, device="cpu")
    if PackedSequence not in SUPPORTED_NODES and len(tree_leaves(PackedSequence(none, none))) == 1:
        register_pytree_node(
            PackedSequence, lambda packed: (list(packed), None), lambda of, _: PackedSequence(*of)
        )


_see_packed_sequences()


# Optional names
QUANTIZED_DECOMPOSED = "torch.ao.quantization.fx._decomposed"
"""The module that defines the operators of exported quantised graphs. Without it, they are not counted."""

SYM_SQRT = "torch._sym_sqrt"
"""The name of the root of a size in exported programs. Files of releases without it do not have it."""

COMPILER = "torch._dynamo"
"""The compiler. If another module has its place, compiled code runs compiled."""

COMPILED_CALL = "_compiled_call_impl"
"""The attribute by which `Module.compile` compiles a module. Without it, a trace runs what that has compiled."""

LEAF_METHODS = frozenset({"forward", "_conv_forward", "_check_input_dim"})
"""The methods between the call of a module and its operator. One that is missing is not looked for."""

LAZY_INIT = "_lazy_init"
"""The function of `torch.cuda` and `torch.xpu` that needs a device. Without it, a forward must not name a missing one."""

GLOBAL_HOOKS = [value for name, value in vars(_hooked_modules).items() if name.startswith("_global_")]
"""The hooks of all modules. Without them, hooks that a forward registers for all modules stay."""

Setting = tuple[Callable[[], Any], Callable[[Any], object]]
"""A function that returns the value of a setting, and one that sets it."""

_PRECISIONS = (("cuda", "matmul"), ("cuda", "conv"), ("mkldnn", "matmul"), ("mkldnn", "conv"))


def flag(name: str) -> list[Setting]:
    """Return a flag of PyTorch behind `torch.backends` and others. Without it, there is nothing to restore."""
    return _setting(f"_get_{name}", f"_set_{name}")


def attention_flag(name: str) -> list[Setting]:
    """Return the flag of a kernel of attention. Without it, there is nothing to restore."""
    return _setting(f"_get_{name}_sdp_enabled", f"_set_sdp_use_{name}")


def precisions() -> list[Setting]:
    """Return the precision of products by backend. PyTorch 2.8 and older have a flag for each backend instead."""
    getter, setter = "_get_fp32_precision_getter", "_set_fp32_precision_setter"
    if not hasattr(torch._C, getter):
        return [*flag("cublas_allow_tf32"), *flag("cudnn_allow_tf32")]
    get, set_ = getattr(torch._C, getter), getattr(torch._C, setter)
    return [(partial(get, *which), partial(set_, *which)) for which in _PRECISIONS]


def lift_only_cpu() -> list[Setting]:
    """Return the flag that leaves the numbers of `torch.tensor` on the CPU. Without it, they need their device."""
    return _setting("_only_lift_cpu_tensors", "_set_only_lift_cpu_tensors")


def _setting(getter: str, setter: str) -> list[Setting]:
    """The setting with two functions of `torch._C`, if it is there."""
    found = hasattr(torch._C, getter) and hasattr(torch._C, setter)
    return [(getattr(torch._C, getter), getattr(torch._C, setter))] if found else []


def print_options() -> dict[str, Any]:
    """Return the options of printed tensors, to change them in place. Without them, they are not restored."""
    return vars(torch._tensor_str.PRINT_OPTS) if hasattr(torch, "_tensor_str") else {}


_DEVICES: Any = getattr(torch, "_GLOBAL_DEVICE_CONTEXT", threading.local())


def default_device() -> dict[str, Any]:
    """Return the context of this thread's default device, by name. Without it, the device is not restored."""
    return {**vars(_DEVICES)}


def set_default_device(contexts: dict[str, Any]) -> None:
    """Set the context of this thread's default device, whose mode is on the stack of modes already."""
    vars(_DEVICES).clear()
    vars(_DEVICES).update(contexts)


def script_type(item: torch.ScriptObject) -> str:
    """Return the name of the class of an object of TorchScript; "" without the method."""
    return str(item._type()) if hasattr(item, "_type") else ""


def mode_key(mode: object) -> Any:
    """Return the key of a dispatch mode that PyTorch keeps apart from the others, or None."""
    return getattr(mode, "_mode_key", None)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside a result of `torch.compile`, or `model` itself; without the class, always `model`."""
    dynamo = sys.modules.get(f"{COMPILER}.eval_frame")
    kind = getattr(dynamo, "OptimizedModule", ())
    inner: nn.Module = getattr(model, "_orig_mod", model) if isinstance(model, kind) else model
    return inner


def disable_dynamo(function: Callable[..., Any], recursive: bool) -> Callable[..., Any]:
    """Return a function that stays out of compiled code, without an import of the compiler where that is possible."""
    try:
        from torch._compile import _disable_dynamo as disable
    except ImportError:
        disable = torch.compiler.disable
    disabled: Callable[..., Any] = disable(function, recursive)
    return disabled


def is_compile_supported(device_type: str) -> Any:
    """Return the answer of the compiler's function of this name, which torchvision calls."""
    from torch._dynamo import utils

    return utils.is_compile_supported(device_type)


def delay_gpu(cycles: int) -> None:
    """Keep the GPU busy, so that operators queue behind. Without it, times include the launch of each operator."""
    sleep = getattr(torch.cuda, "_sleep", None)
    if sleep:
        sleep(cycles)
