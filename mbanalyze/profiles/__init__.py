"""The speed of a machine as a profile, and the time that it predicts for operators. No torch.

operator_class.py  the class of an operator, whose members take time by one formula
work.py            the work of an operator: flops, and bytes of activations and of weights
class_fit.py       the time of one class: four constants
time_profile.py    a profile: the fitted classes of a machine
profile_file.py    the file of a profile: written and read
view.py            a profile as tables
data_sheet.py      the data sheets of GPUs, and the time of an operator by the roofline model
predicted_time.py  the predicted time of a network, operator by operator, with an interval
"""
