"""The catalogue: complete, and the compiled file is the one in the tree."""

import ast
import gettext
import re
import subprocess
import sys
from pathlib import Path

import haven_portal
from tests.support.tools import requires

PACKAGE = Path(haven_portal.__file__).parent
MESSAGES = PACKAGE / "locale" / "zh_Hans" / "LC_MESSAGES"
_ENTRY = re.compile(r'^msgid ((?:".*"\n)+)(?:msgid_plural ((?:".*"\n)+))?((?:msgstr.*(?:\n".*")*\n?)+)', re.MULTILINE)

_TRANSLATED = re.compile(r"{% blocktranslate.*?{% endblocktranslate %}|{% comment.*?{% endcomment %}", re.DOTALL)
_NAMES = {"Haven", "API", "Esc", "UTC", "README", "values", "yaml", "English"}


def read_catalogue(text: str) -> dict[str, str]:
    """msgid: translation."""
    found = {}
    for match in _ENTRY.finditer(text):
        translation = re.sub(r"^msgstr(\[0])? ", "", match[3], flags=re.MULTILINE)
        found[_joined(match[1])] = _joined(translation)
    return found


def _joined(lines: str) -> str:
    return "".join(ast.literal_eval(line) for line in lines.strip().splitlines())


def test_everything_is_translated() -> None:
    text = (MESSAGES / "django.po").read_text()
    assert ", fuzzy" not in text
    assert [key for key, value in read_catalogue(text).items() if not value] == []


def test_compiled_file_is_fresh() -> None:
    with (MESSAGES / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    written = read_catalogue((MESSAGES / "django.po").read_text())
    for key, value in written.items():
        if key:
            assert value in (compiled.gettext(key), compiled.ngettext(key, key, 1)), key
    keys = {key[0] if isinstance(key, tuple) else key for key in compiled._catalog}  # type: ignore[attr-defined]
    assert keys == set(written)


def test_placeholders_survive() -> None:
    for key, value in read_catalogue((MESSAGES / "django.po").read_text()).items():
        assert set(re.findall(r"%\(\w+\)[ds]", key)) == set(re.findall(r"%\(\w+\)[ds]", value)), key


def test_templates_say_nothing_that_is_not_translated() -> None:
    """Words in templates outside of translation, but for names and what one types."""
    found = []
    for file in (PACKAGE / "templates").rglob("*.html"):
        if file.name == "style_guide.html":  # its examples are for developers
            continue
        text = _TRANSLATED.sub("", file.read_text())
        said = re.findall(r'\b(?:aria-label|title|placeholder|alt)="([^"{]*[A-Za-z]{3}[^"{]*)"', text)
        words = re.sub(r"<[^>]*>", " ", re.sub(r"{[{%#].*?[}%#]}", "", text, flags=re.DOTALL))
        found += [(file.name, word) for word in re.findall(r"[A-Za-z]{3,}", words) if word not in _NAMES]
        found += [(file.name, each) for each in said]
    assert found == []


@requires("xgettext")
def test_every_text_is_in_the_catalogue(tmp_path: Path) -> None:
    """Collecting anew finds nothing that the file in the tree lacks."""
    copy = tmp_path / "haven_portal"
    subprocess.run(["cp", "-r", str(PACKAGE), str(copy)], check=True)
    command = [
        "makemessages",
        "--locale=zh_Hans",
        "--no-obsolete",
        "--add-location=never",
        "--no-wrap",
        "--verbosity=0",
    ]
    subprocess.run([sys.executable, "-m", "django", *command], cwd=copy, check=True, env={"PATH": "/usr/bin:/bin"})
    collected = read_catalogue((copy / "locale/zh_Hans/LC_MESSAGES/django.po").read_text())
    assert set(collected) == set(read_catalogue((MESSAGES / "django.po").read_text()))
