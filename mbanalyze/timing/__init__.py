"""The time that a network takes: measured on this machine, and predicted from a calibration of a machine.

calibration.py       `calibrate`: anchors and probes timed, and fitted to a profile
anchors.py           the networks that are timed in a calibration
probes.py            modules of operators that the anchors lack
samples.py           the times of operators, by their work
fitting_classes.py   the constants of each class, by non-negative least squares
steadiness.py        the refusal of a calibration whose repeats disagree
timed_models.py      resolved models on a device
predicting.py        `predict`: the time of a network on the machine of a profile or on a GPU
prediction.py        its result with a profile: times by operator, module, block and kind
prediction_notes.py  reasons to trust a predicted time less
prediction_view.py   a prediction as tables
relative_time.py     its result with a GPU: relative times by the data sheet
sheet_rows.py        the time of rows by a data sheet, and that of the unit
relative_view.py     a relative time as tables
selected_rows.py     the rows that `top` selects, in data
measuring.py         `measure`: networks timed in alternating rounds
measured_time.py     its result: the times of each network
measured_view.py     measured times as a table
view.py              the views of all results
"""
