"""The cost of training, by rules on the record: gradients, saved activations, optimizer state. No torch.

`mbanalyze.trace.training_step` runs a step and counts it without these rules, so that each can check the other.

gradients.py              the values that require a gradient
storages.py               the size of the storage of each tensor
product_gradients.py      the backward pass of products, attention, recurrent layers
elementwise_gradients.py  the backward pass of elementwise kinds
reduction_gradients.py    the backward pass of norms, pooling, reductions, losses
backward_cost.py          `backward(ops)`: the cost of the backward pass of each operator
kept.py                   the tensors that an operator keeps, and rules that many kinds share
saved_products.py         the tensors that matrix products and attention keep
saved_elementwise.py      the tensors that elementwise kinds and dropout keep
saved_reductions.py       the tensors that norms, pooling, reductions, losses keep
saved_rules.py            the rule for the tensors of each kind
saved_bytes.py            `saved_bytes(ops, itemsize)`: the bytes that each operator keeps
optimizer_state.py        the state of optimizers, and the gradients
"""
