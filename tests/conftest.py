"""Settings for all tests: slow machines are no reason to fail, and nothing opens a window."""

import matplotlib as mpl
from hypothesis import HealthCheck, settings

mpl.use("Agg")
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
