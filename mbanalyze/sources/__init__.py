"""Model references, and the subject that each names.

references.py  `torchvision:NAME`, factories and the like
skip_init.py   modules built without filling their weights
subject.py     `count`, and what it counts
"""
