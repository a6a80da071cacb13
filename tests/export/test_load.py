"""The checked-in SavedModel under load; `python tests/load_test.py` is the same at full size."""

import keras
import pytest
from load_test import MODEL, load


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the checked-in model needs no backend")
def test_malformed_requests_harm_nothing():
    report = load(MODEL, 600)
    assert not report.wrong
    assert report.malformed == 60 and 540 <= report.statuses[200] < 600
    assert report.megabytes[-1] < report.megabytes[len(report.megabytes) // 2] + 60
