"""A node -> kind, operands, attributes.

node_match.py       `NodeMatch`, the interpretation of one node
node_products.py    convolutions and matrix products, quantised ones included
quantised_nodes.py  quantised tensors: their products, sums and pools
contrib_nodes.py    ONNX Runtime's own operators
matchers.py         the matcher of each operator
"""
