"""Reaps and sweeps as the worker does, tells what is left as one line of JSON, then is `haven fsck`, with its exit status.
Uploads expire by HAVEN_UPLOAD_TTL_HOURS. With the argument "orphans", files that no row leads to go too, however young; with
"leftovers", those among them that are staged: what the daily look removes after a kill."""

import json
import os
import sys
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")
django.setup()

from django.db.models import Q  # noqa: E402
from django.utils import timezone  # noqa: E402

from haven_gc.repair import remove_orphans  # noqa: E402
from haven_gc.sweep import sweep  # noqa: E402
from haven_gc.uploads import reap_uploads  # noqa: E402
from haven_project.cli import main  # noqa: E402
from haven_registry.models import StorageObject, Upload  # noqa: E402
from haven_registry.store import driver  # noqa: E402

while reap_uploads():
    pass
while sweep(driver()).removed:
    pass
if sys.argv[1:] in (["orphans"], ["leftovers"]):
    remove_orphans(driver(), timedelta(), only_staged=sys.argv[1:] == ["leftovers"])
stored = list(driver().list_keys())
known = set(StorageObject.objects.values_list("storage_key", flat=True))
# what collection took away stays for downloads that go on (HAVEN_READ_GRACE_HOURS)
kept = Q(state=StorageObject.LIVE) | Q(state=StorageObject.DEAD, purge_after__gt=timezone.now())
print(
    json.dumps(
        {
            "sessions": Upload.objects.count(),
            "staged": sorted(found.key for found in stored if found.is_staged),
            "unknown": sorted(found.key for found in stored if found.key not in known),
            "objects": sorted(found.key for found in stored if not found.is_staged),
            "live": sorted(StorageObject.objects.filter(kept).values_list("storage_key", flat=True)),
        }
    )
)
sys.exit(main(["fsck"]))
