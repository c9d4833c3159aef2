"""Output shapes of operators on meta tensors, where PyTorch is slow or has no answer.

A rule answers the common case: contiguous tensors of one dtype whose sizes fit. In every other case it returns
None, and PyTorch computes the output or raises. Shapes, strides and dtypes equal those of PyTorch's meta kernels.

shortcuts.py           operator name -> shape rule
view_methods.py        methods that return views
layout.py              sizes and strides of an output
contractions.py        convolutions, matrix products, attention, recurrent layers
pooling.py             pooling and means
elementwise_shapes.py  activations, arithmetic and normalisations
movement.py            concatenation, copies, rolls and lookups
valued.py              operators whose output shape depends on arguments with values
settled.py             outputs of convolutions, the same for every release of PyTorch
keep_all.py            operators whose output shape depends on values, which are assumed
"""
