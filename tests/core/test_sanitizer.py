"""A sanitizer build reports errors: CI runs this file with FASTMLP_PLANT_ERROR set and expects it to fail."""

import os

from fastmlp import _core


def test_planted_error() -> None:
    if os.environ.get("FASTMLP_PLANT_ERROR"):
        _core._plant_error()
