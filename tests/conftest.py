"""Settings for all tests: slow machines are no reason to fail, and nothing opens a window."""

import matplotlib as mpl
import pytest
import torch
from hypothesis import HealthCheck, settings

mpl.use("Agg")
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _gradients_are_left_on():
    """Whatever a test borrows, it gives back: gradients are recorded again afterwards."""
    yield
    assert torch.is_grad_enabled()
