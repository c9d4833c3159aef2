"""The time that a network takes: measured on this machine, and predicted from a calibration of a machine.

calibration.py       `calibrate`: anchors and probes timed, and fitted to a profile
measuring.py         `measure`: networks timed in alternating rounds
measured_time.py     the time of networks on this machine
measured_view.py     measured times as a table
view.py              the views of all results
anchors.py           the networks that are timed in a calibration
probes.py            modules of operators that the anchors lack
timed_models.py      resolved models on a device
samples.py           the times of operators, by their work
fitting_classes.py   the constants of each class, by non-negative least squares
steadiness.py        the refusal of a calibration whose repeats disagree
"""
