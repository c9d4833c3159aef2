"""A node -> kind, operands, attributes.

node_match.py     `NodeMatch`, the interpretation of one node
node_products.py  convolutions and matrix products, quantised ones included
matchers.py       the matcher of each operator
"""
