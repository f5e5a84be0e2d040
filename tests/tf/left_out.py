"""What CI leaves out of the slow lane: networks and options where another asks the same of the code."""

from __future__ import annotations

import pytest
from shelf import DEEP, OF_ONE_MAKE

from dlkit.networks import NETWORKS

STILL_IN_CI = {
    "densenet121", "efficientnet_lite1", "inception_resnet_v1", "inception_resnet_v2", "inception_v1_bn",
    "inception_v4", "mobilenet_v3_large", "resnet152", "resnet32", "resnet34", "resnext50_32x4d",
}  # fmt: skip
"""The deep networks that stand for their families in the tests of every network and of its weights."""
AT_FULL_SIZE = {
    "densenet121", "inception_resnet_v2", "inception_v4", "resnet152", "resnext50_32x4d",
}  # fmt: skip
"""Those of them whose files CI makes at full size; a small one learns there, and its files are left out."""
FITTED_AGAIN = {
    "alexnet", "bidirectional_gru", "bidirectional_lstm", "convolutional_autoencoder", "dcgan28_generator",
    "dense_autoencoder", "densenet40", "ds_cnn", "gru", "inception_v2", "lstm", "mobilenet_v1_025", "mobilenet_v2",
    "resnet20", "resnext29_8x64d", "simple_rnn", "variational_autoencoder", "xception",
}  # fmt: skip
"""Networks of which CI asks what all steps of compression together come to in a file, and not each preparation."""
FITTED_AGAIN_AT_LENGTH = {
    "alexnet", "bidirectional_gru", "bidirectional_lstm", "dense_autoencoder", "densenet40", "inception_v2",
    "mobilenet_v1_025", "resnet20", "resnext29_8x64d", "xception",
}  # fmt: skip
"""Networks that have the layers of a shallower one, or that take more than a minute."""
THINNED = {
    "alexnet", "cnn", "convolutional_autoencoder", "dcgan28_generator", "gru", "lstm", "resnet8", "vgg16", "xception",
}  # fmt: skip
"""Networks of which CI compares the file without its large kernels to that which is converted whole."""
OTHER_TRAININGS = {"anomalies", "denoising", "patience", "reconstruction"}
"""Ways to train that two workers, or other tests of two devices, share."""
IN_THE_MATRIX = {
    "convolutional_autoencoder", "dcgan28_generator", "ds_cnn", "lstm", "mobilenet_v1_025", "mobilenet_v1_025_96",
    "resnet8",
}  # fmt: skip
"""Networks that `test_target_matrix` runs on every target."""
OF_THE_SAME_GRAPH = {"saved_model_bfloat16", "saved_model_float16"}
"""Schemes for servers with other weights in the same operations: of one network CI makes both."""
LEFT_OUT = (
    ("test_every_network.py::", "built", DEEP - STILL_IN_CI),
    ("test_every_network.py::test_the_file_of_every_scheme", "built", DEEP),
    ("test_networks.py::test_layer_names", "built", DEEP - STILL_IN_CI),
    ("test_networks.py::", "name", DEEP - STILL_IN_CI),
    ("test_summary.py::test_every_network", "name", DEEP - STILL_IN_CI),
    ("test_weights.py::", "name", DEEP - STILL_IN_CI),
    ("test_bridge.py::", "name", DEEP | OF_ONE_MAKE),
    ("test_compressing.py::test_what_a_scheme_promises", "name", FITTED_AGAIN),
    ("test_compressing.py::test_all_steps_together", "name", FITTED_AGAIN_AT_LENGTH),
    ("test_export.py::test_a_network_exports_in_every_scheme_that", "fitted_again", {"resnet8"}),
    ("test_quantization_aware.py::test_a_rounded_twin", "name", {"inception_v2"}),
    (
        "test_references.py::",
        "name",
        {"inception_v1_bn", "resnet101", "resnext101_32x4d", "resnext101_32x8d", "resnext101_64x4d", "vgg11"},
    ),
    ("test_replicated.py::test_two_devices", "asked", OTHER_TRAININGS),
    ("test_resume.py::test_the_course", "kind", {"conditional", "sounds"}),
    ("test_applications.py::test_same_features", "name", DEEP),
    ("test_files_for_gpus.py::test_a_network_runs_there", "name", IN_THE_MATRIX),
    ("test_files_for_microcontrollers.py::test_it_computes", "name", IN_THE_MATRIX),
    ("test_thin.py::test_networks_of_the_shelf_become_the_same_file", "name", set(NETWORKS) - THINNED),
)
"""Tests, one of their parameters, and its values that CI leaves out of them."""


def is_left_out(test: pytest.Item) -> bool:
    """Whether CI runs it not, though it is in a lane of it."""
    params: dict[str, object] = test.callspec.params if hasattr(test, "callspec") else {}
    if params.get("built") in AT_FULL_SIZE and "files" in getattr(test, "fixturenames", ()):
        return True
    if params.get("saved") not in (None, "cnn") and params.get("scheme") in OF_THE_SAME_GRAPH:
        return True
    return any(tests in test.nodeid and params.get(name) in values for tests, name, values in LEFT_OUT)
