"""Training of networks in plain PyTorch: `train`, its data sets, and the folder of a run.

data_names.py       the names of data sets, without the images
datasets.py         the data sets by name, as training and test images
image_set.py        `ImageSet`: training and test images with their classes, at one size
digits.py           scikit-learn's 1,797 handwritten digits
cifar10.py          CIFAR-10, read by torchvision
image_folder.py     a folder with one folder of images for each class
extra.py            the packages of the extra `mbanalyze[train]`
stratified.py       a fixed split into training and test images
recipes.py          `Recipe`: the settings of a training run, and the recipes by name
optimizers.py       the optimizers by name, with their learning rates
epochs.py           the record of an epoch, and the position within one
loop.py             an epoch of training, and the accuracy on test images
norm_statistics.py  the running statistics of batch norms in short runs
random_state.py     seeds, and a process that is left as it was
trained_network.py  the network of a run, whose outputs are the classes of the data
epoch_macs.py       the multiply-accumulates of an epoch
run_record.py       `RunRecord`: what a run was asked for, and its epochs
record_file.py      the record as JSON, and its errors
run_folder.py       the folder of a run: the record, the best weights and the checkpoint
trained_run.py      `TrainingRun`: a run as a result, with its best weights
train_network.py    `train`
plan.py             `TrainingPlan`: the training of many variants
variant_runs.py     one run among many, as a job that any process can do
evaluate_network.py `evaluate`
evaluation.py       `Evaluation`: the predictions of a trained network on test images
depthwise_layers.py the filters of the depthwise layers of a module
run_view.py         the view of a run: a row for each epoch
evaluation_view.py  the view of an evaluation: the confusion matrix
view.py             both views
"""
