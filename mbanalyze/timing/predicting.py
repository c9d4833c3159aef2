"""`predict`: the time of a network on the machine of a profile, or its relative time on a GPU."""

from __future__ import annotations

from typing import Any, overload

from mbanalyze.inputs.typed import AnyPath
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.network import Report
from mbanalyze.sources.resolve import Countable, count
from mbanalyze.sources.timed_reports import PredictionError, given_profile, time_of_report
from mbanalyze.timing.prediction import Prediction
from mbanalyze.timing.relative_time import RelativeTime, relative_time
from mbanalyze.timing.sheet_rows import Execution


@overload
def predict(
    what: Countable | Report, /, *inputs: Any, profile: Profile | AnyPath, **options: Any
) -> Prediction: ...
@overload
def predict(
    what: Countable | Report, /, *inputs: Any, device: str, execution: Execution = ..., **options: Any
) -> RelativeTime: ...
def predict(
    what: Countable | Report,
    /,
    *inputs: Any,
    profile: Profile | AnyPath | None = None,
    device: str | None = None,
    execution: Execution | None = None,
    **options: Any,
) -> Prediction | RelativeTime:
    """Return the time that a network takes for one forward pass in eval mode.

    With a profile, it is in milliseconds in eager PyTorch. With a device, it is relative to that of MobileNetV2, by
    the data sheet of the GPU, and orders networks. Both are arithmetic on exact counts, equal on every machine.

    Args:
        what: a network, as `mbanalyze.count` takes it, or its report.
        inputs: the inputs of its forward pass, as for `count`.
        profile: the speed of a machine: a file that `mbanalyze calibrate` writes, or a `Profile`.
        device: a GPU with a data sheet, such as `rtx4090`. Give either a profile or a device.
        execution: with a device, `eager` (default) for the operators that PyTorch runs one by one, or `fused` for
            those of an inference engine.
        options: hyper-parameters of the network, as for `count`. The element type is that of the profile. With a
            device it is `float16` (default) or `float32`.

    Raises:
        ProfileError: the file is no profile.
        UnmeasuredError: the profile has no time for the kind of an operator.
        PredictionError: another element type, a fused network, training, or inputs or options with a report. Or not
            exactly one of profile and device, or a profile with an execution.
        ChoiceError: unknown device or execution, or an element type without data.
        OptionError, InputError, ShapeError, SourceError, TraceError: the network cannot be counted.
    """
    require_one_machine(profile, device, execution)
    if device is not None:
        return relative_time(what, *inputs, device=device, execution=execution or "eager", **options)
    assert profile is not None
    known = given_profile(profile)
    if not isinstance(what, Report):
        dtype = options.pop("dtype", None) or known.dtype
        what = count(what, *inputs, dtype=dtype, **options)
    elif inputs or options:
        raise PredictionError("inputs and options describe a network: give one that is not counted yet")
    return Prediction(what, known, time_of_report(what, known))


def require_one_machine(profile: object | None, device: str | None, execution: str | None) -> None:
    """Raise `PredictionError` unless there is exactly one of a profile and a device, and no execution of a profile."""
    if profile is None and device is None:
        raise PredictionError(
            "the machine is missing: give a profile (--profile) for milliseconds, or a GPU (--device) for a relative time"
        )
    if profile is not None and device is not None:
        raise PredictionError("a profile and a device are two machines: give --profile or --device, not both")
    if profile is not None and execution is not None:
        raise PredictionError(
            "a profile has times of eager PyTorch: leave out execution, or give a device instead of a profile"
        )
