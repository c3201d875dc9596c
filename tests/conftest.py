"""Settings for all tests: one thread a process, no deadlines, no windows."""

import os

# Before anything that counts the cores: threads of several workers would wait for each other.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import matplotlib as mpl
import pytest
import torch
from hypothesis import HealthCheck, settings

collect_ignore = ["methods/toy_package"]
"""Not tests, but a package that tests install."""

torch.set_num_threads(1)
mpl.use("Agg")
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _gradients_are_left_on():
    """Whatever a test borrows, it gives back: gradients are recorded again afterwards."""
    yield
    assert torch.is_grad_enabled()


@pytest.fixture(autouse=True, scope="session")
def _nothing_is_left_in_the_home_folder(tmp_path_factory):
    """Downloads go where they are thrown away."""
    before = os.environ.get("INTERPRET_SEGMENTATION_DATA")
    os.environ["INTERPRET_SEGMENTATION_DATA"] = str(tmp_path_factory.mktemp("testnet-data"))
    yield
    if before is None:
        del os.environ["INTERPRET_SEGMENTATION_DATA"]
    else:
        os.environ["INTERPRET_SEGMENTATION_DATA"] = before
