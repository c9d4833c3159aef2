"""Predicted times of networks that are not anchors, beside measured times: `make benchmark-time`.

It measures the networks in alternating rounds, half of them before and half after a calibration on one thread, and
writes `time/DATE.md`. Some anchors run in the same rounds as a control: the speed of a shared machine changes.
It refuses if other programs use the machine or if its speed changed, and then writes nothing.
With references of networks as arguments, it prints the tables of these networks and writes no file.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks import times_table, timing
from benchmarks.networks import import_torchvision
from benchmarks.times_table import Unseen
from mbanalyze.clock.machine import threads_set
from mbanalyze.clock.rounds import alternate
from mbanalyze.clock.timed_module import TimedModule
from mbanalyze.display.files import write
from mbanalyze.profiles.predicted_time import UnmeasuredError, predict_time
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.network import versions
from mbanalyze.sources.references import SourceError
from mbanalyze.sources.resolve import resolve
from mbanalyze.timing.calibration import calibrate
from mbanalyze.timing.steadiness import BusyClock, UnsteadyError
from mbanalyze.timing.timed_models import timed_model

FOLDER = Path(__file__).parent / "time"

TORCHVISION = (
    *("mobilenet_v3_small", "mnasnet0_5", "mnasnet1_3", "shufflenet_v2_x0_5", "shufflenet_v2_x2_0"),
    *("squeezenet1_0", "resnet34", "resnet50", "efficientnet_b0", "efficientnet_b1", "regnet_y_400mf"),
    *("regnet_x_400mf", "regnet_y_800mf", "regnet_x_800mf", "densenet121", "googlenet"),
)
TIMM = (
    *("mobilenetv2_050", "mobilenetv2_140", "lcnet_100", "ghostnet_100", "tinynet_a", "fbnetc_100"),
    *("spnasnet_100", "efficientnet_lite0", "mobilenetv4_conv_small", "semnasnet_100", "hardcorenas_a"),
    *("rexnet_100", "mobilenetv3_large_100", "resnet26", "mobileone_s0", "repvgg_a0", "hgnetv2_b0"),
    *("tf_mixnet_s", "convnext_atto", "deit_tiny_patch16_224", "levit_128s"),
)
NETWORKS = (*(f"torchvision:{name}" for name in TORCHVISION), *(f"timm:{name}" for name in TIMM))
"""Networks from mobile size to ResNet-50; a calibration times none of them."""

CONTROLS = tuple(
    f"{name}@resolution=224"
    for name in ("mobilenet_v1", "mobilenet_v2", "shufflenet_v2", "squeezenet1_1", "resnet18")
)
"""Anchors that are measured again."""

SECONDS = 30.0
"""The time for the rounds before the calibration, and for those after it."""

MOST_DRIFT = 0.03
"""The largest share by which the control may be faster or slower than in the calibration."""


def built(networks: Sequence[str]) -> list[TimedModule]:
    """Return the networks, ready to be measured.

    Raises:
        SourceError: there is no such network.
    """
    import_torchvision()
    return [timed_model(resolve(name), name, "cpu") for name in timing.tracked(networks, "building")]


def time_rounds(modules: Sequence[TimedModule]) -> None:
    """Time the networks in alternating rounds.

    Raises:
        UnsteadyError: other programs used the processor.
    """
    busy = BusyClock()
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("measuring", total=1.0)
        alternate(
            [module.time_whole for module in modules],
            SECONDS,
            progress=lambda done: bar.update(task, completed=done),
        )
    busy.require_idle()


def unseen(module: TimedModule, profile: Profile) -> Unseen:
    """Return the measured and the predicted time of a network, and its counts."""
    report = resolve(module.name).report()
    predicted = predict_time(report.ops, profile)
    counts = report.totals
    assert counts.macs is not None
    assert counts.memory_access is not None
    whole = statistics.median(module.whole) / 1e6
    return Unseen(module.name, whole, predicted.total, predicted.coverage, counts.macs, counts.memory_access)


def measure(networks: Sequence[str]) -> str:
    """Calibrate, measure and predict; return the text of the file.

    Raises:
        SourceError: there is no such network.
        UnsteadyError: other programs use the machine, or its speed changed.
    """
    modules, controls = built(networks), built(CONTROLS)
    before = os.getloadavg()[0]
    with threads_set(1):
        time_rounds([*modules, *controls])
        profile = calibrate(threads=1)
        time_rounds([*modules, *controls])
    drift = drift_since(profile, controls)
    if abs(drift - 1) > MOST_DRIFT:
        raise UnsteadyError(
            f"the machine takes {drift:.2f} times as long as in the calibration: measure again"
        )
    predictions, errors = [], {}
    for module in modules:
        try:
            predictions.append(unseen(module, profile))
        except UnmeasuredError as error:
            errors[module.name] = str(error)
    packages = versions("torch", "torchvision", "timm", "scipy")
    load, rounds = (before, os.getloadavg()[0]), len(modules[0].whole)
    return times_table.page(profile, predictions, errors, rounds, packages, load, drift)


def drift_since(profile: Profile, controls: Sequence[TimedModule]) -> float:
    """Return the times of anchors as multiples of those in the calibration: the median of the networks."""
    then = {anchor.model: anchor.measured_ms for anchor in profile.anchors}
    return statistics.median(statistics.median(c.whole) / 1e6 / then[c.name] for c in controls)


def main(networks: Sequence[str]) -> int:
    """Print the tables of some networks, or write those of all; return 1 if the machine is busy."""
    try:
        text = measure(networks or NETWORKS)
    except (SourceError, UnsteadyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if networks:
        sys.stdout.write(text)
    else:
        FOLDER.mkdir(exist_ok=True)
        file = FOLDER / f"{dt.datetime.now(tz=dt.UTC).date().isoformat()}.md"
        write(file, text)
        sys.stderr.write(f"wrote benchmarks/{FOLDER.name}/{file.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
