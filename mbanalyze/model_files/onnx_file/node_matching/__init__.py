"""A node -> kind, operands, attributes.

node_match.py        `NodeMatch`, the interpretation of one node, and matchers that need no more than a kind
node_products.py     convolutions, matrix products and Einstein sums
node_elementwise.py  activations and arithmetic, element by element
node_windows.py      pooling, interpolation, sampling
node_norms.py        normalisations
node_reductions.py   reductions, sorts, and operators along a dimension
node_transforms.py   Fourier transforms
node_sequences.py    attention, positions, recurrent layers
node_indexing.py     slices, lookups, gathers, scatters, paddings
node_losses.py       loss functions
node_names.py        operators of one kind, whatever their attributes
quantised_nodes.py   quantised tensors: their products, sums and pools
contrib_nodes.py     ONNX Runtime's own operators
matchers.py          the matcher of each operator
"""
