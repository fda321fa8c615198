"""The siege judges by terms of its own; they must be the product's."""

from datetime import timedelta
from pathlib import Path

from haven_core.config import load_config
from haven_gc.sweep import CLAIM
from tests.siege import terms


def test_the_terms_are_what_the_stack_is_told(tmp_path: Path):
    config = load_config({"HAVEN_DATA_DIR": str(tmp_path), **terms.SETTINGS, **terms.restore_window(terms.RESTORABLE)})

    told = (config.upload_lease, config.head_margin, config.gc_grace, config.read_grace)
    wanted = (terms.LEASE, terms.HEAD_MARGIN, terms.GRACE, terms.READ_GRACE)
    assert told == tuple(timedelta(seconds=seconds) for seconds in wanted)
    assert abs(config.restore_window - timedelta(seconds=terms.RESTORABLE)) < timedelta(seconds=0.01)
    assert not load_config({"HAVEN_DATA_DIR": str(tmp_path), **terms.restore_window(0)}).restore_window


def test_the_end_waits_longer_than_claims_last():
    assert CLAIM.total_seconds() == terms.CLAIM
    assert terms.EMPTY > terms.CLAIM + terms.RESTORABLE + terms.READ_GRACE
