"""Collect the portal's texts into its catalogue and compile it. A developer's tool; needs GNU gettext.

    python portal/make_messages.py

Then translate what is empty in haven_portal/locale/zh_Hans/LC_MESSAGES/django.po and run it once more. Both files are
committed: nothing is compiled where Haven is installed.
"""

import os
import re
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.commands import compilemessages, makemessages

PACKAGE = Path(__file__).parent / "haven_portal"
CATALOGUE = PACKAGE / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"


class Collect(makemessages.Command):
    """Without guesses: a text that is new stays empty until somebody translates it."""

    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]


def main() -> None:
    """Collect, then compile."""
    settings.configure()
    os.chdir(PACKAGE)
    call_command(
        Collect(), locale=["zh_Hans"], no_obsolete=True, add_location="never", no_wrap=True, verbosity=0,
    )  # fmt: skip
    # a moment in the head would differ each time, and so conflict in each merge
    text = re.sub(r'^"(POT-Creation|PO-Revision)-Date:.*\n', "", CATALOGUE.read_text(), flags=re.MULTILINE)
    CATALOGUE.write_text(text)
    call_command(compilemessages.Command(), locale=["zh_Hans"], verbosity=0)


if __name__ == "__main__":
    main()
