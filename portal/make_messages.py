"""Collect the portal's texts into its catalogue and compile it. A developer's tool; needs GNU gettext.

    python portal/make_messages.py

Then translate what is empty in haven_portal/locale/zh_Hans/LC_MESSAGES/django.po and run it once more. Both files are
committed: nothing is compiled where Haven is installed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "haven_portal"
CATALOGUE = PACKAGE / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
_ADMIN = (sys.executable, "-m", "django")
_MAKE = ("makemessages", "--locale=zh_Hans", "--no-obsolete", "--add-location=never", "--no-wrap", "--verbosity=0")


def main() -> None:
    """Collect, then compile."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([*_ADMIN, *_MAKE], cwd=PACKAGE, env=environment, check=True)
    # a moment in the head would differ each time, and so conflict in each merge
    CATALOGUE.write_text(
        re.sub(r'^"(POT-Creation|PO-Revision)-Date:.*\n', "", CATALOGUE.read_text(), flags=re.MULTILINE)
    )
    subprocess.run(
        [*_ADMIN, "compilemessages", "--locale=zh_Hans", "--verbosity=0"], cwd=PACKAGE, env=environment, check=True
    )


if __name__ == "__main__":
    main()
