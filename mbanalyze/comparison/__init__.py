"""Reports side by side.

comparison.py      `compare`
report_labels.py   a name for each report
parts.py           kinds, stages and layers with their counts in each report
alignment.py       corresponding layers of two networks
stages.py          the stage of each operator
known_accuracy.py  the accuracy of each network
compared_times.py  the predicted time of each network, and the verdict on two of them
time_view.py       the predicted times as rows and columns of tables
view.py            a comparison as tables
"""
