"""The settings under which the siege is played, and what they promise. All times in seconds."""

HOUR, DAY = 3600.0, 86_400.0

RESTORABLE = 60.0  # after a delete, in the first half of a siege; in its second half nothing can be restored
LEASE = 180.0  # what is uploaded or mounted can be named that long, whoever deletes what meanwhile
HEAD_MARGIN = 72.0
GRACE = 0.0  # after the last manifest that names a blob was deleted
READ_GRACE = 36.0

SETTINGS = {
    "HAVEN_GC_GRACE_HOURS": f"{GRACE / HOUR:g}",
    "HAVEN_READ_GRACE_HOURS": f"{READ_GRACE / HOUR:g}",
    "HAVEN_UPLOAD_LEASE_HOURS": f"{LEASE / HOUR:g}",
    "HAVEN_HEAD_MARGIN_HOURS": f"{HEAD_MARGIN / HOUR:g}",
    "HAVEN_UPLOAD_TTL_HOURS": "0.05",
    "HAVEN_UNTAGGED_AGE_HOURS": "0.01",
    "HAVEN_MAX_OPEN_UPLOADS": "100000",  # all clients are one person, who leaves several sessions a second behind
}

# How long a manifest may name a blob after the answer that showed it. A HEAD writes nothing: what it shows may be there
# because of a manifest alone, and when somebody deletes that, only the grace is left.
PROMISED = {"uploaded": LEASE, "mounted": LEASE, "head": min(HEAD_MARGIN, GRACE)}

CLAIM = 300.0  # haven_gc.sweep's, which can't be imported without Django: a killed worker's keys wait for its end
EMPTY = CLAIM + RESTORABLE + READ_GRACE + 90.0  # until everything that was deleted has left the storage


def restore_window(seconds: float) -> dict[str, str]:
    """The setting that says how long things can be restored."""
    return {"HAVEN_RESTORE_WINDOW_DAYS": f"{seconds / DAY:.8f}"}
