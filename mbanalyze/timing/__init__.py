"""The time that a network takes: measured on this machine, and predicted from a calibration of a machine.

prediction.py        `predict`: the time of a network by operator, module, block and kind
prediction_notes.py  reasons to trust a predicted time less
prediction_view.py   a prediction as tables
calibration.py       `calibrate`: anchors and probes timed, and fitted to a profile
calibration_view.py  a profile as tables
anchors.py           the networks that are timed in a calibration
probes.py            modules of operators that the anchors lack
timed_models.py      resolved models on a device
samples.py           the times of operators, by their work
fitting_classes.py   the constants of each class, by non-negative least squares
steadiness.py        the refusal of a calibration whose repeats disagree
view.py              the views of all results
"""
