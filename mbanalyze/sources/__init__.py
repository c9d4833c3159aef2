"""From a model reference to a model that can be counted.

references.py         models that other packages or the user's own code define
deferred_compiler.py  imports of packages that defer PyTorch's compiler
definitions.py        the models that source files define, read without running them
unknown.py            the errors for names of models and arguments that do not exist
pt2_models.py         models that arrive as programs of `torch.export`
file_models.py        models that arrive as files: graphs of ONNX
patterns.py           references with wildcards, and the models that match
building.py           making the module of a model, once
skip_init.py          making a module without filling its weights
forward_inputs.py     the inputs that a user gives for a forward, checked
input_advice.py       advice on inputs that a model does not take, or with which its forward fails
resolved_model.py     `ResolvedModel`: a model that can be counted, in closed form or by a trace
training_report.py    the cost of a training step, added to a report, and its options
timed_reports.py      the profile that a user gives, and the reports whose time it predicts
resolve.py            `resolve`: a reference, architecture, module or factory as a `ResolvedModel`; `count`
processes.py          jobs in processes of their own
process_server.py     the process that starts those processes
job_process.py        one of those processes
"""
