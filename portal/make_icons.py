"""Write the sprite of the icons that the portal's templates and views name, out of Tabler's package.

    npm pack @tabler/icons@3.51.0 && tar xzf tabler-icons-3.51.0.tgz
    python portal/make_icons.py package

A developer's tool: the result, static/img/icons.svg, is committed, and a test compares it with what is named.
"""

import re
import sys
from pathlib import Path

PORTAL = Path(__file__).parent / "haven_portal"
SPRITE = PORTAL / "static" / "img" / "icons.svg"
_IN_TEMPLATES = re.compile(r"""(?:{% icon |\b(?:icon|symbol)=)["']([a-z0-9-]+)["']""")
_IN_CODE = re.compile(r"""\bicon(?:="|\(")([a-z0-9-]+)\"""")
_NOISE = re.compile(r'<path stroke="none" d="M0 0h24v24H0z" fill="none" />')


def named_icons() -> list[str]:
    """Every icon that is asked for by a literal name."""
    found = set()
    for file in PORTAL.rglob("*.html"):
        found |= set(_IN_TEMPLATES.findall(file.read_text()))
    for file in PORTAL.rglob("*.py"):
        found |= set(_IN_CODE.findall(file.read_text()))
    return sorted(found)


def main(package: Path) -> None:
    """Collect the shapes."""
    symbols = []
    for name in named_icons():
        source = (package / "icons" / "outline" / f"{name}.svg").read_text()
        body = _NOISE.sub("", source[source.index(">") + 1 : source.rindex("</svg>")])
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(body.split())}</symbol>')
    notice = "<!-- Tabler Icons 3.51.0, MIT License, Copyright (c) 2020-2026 Pawel Kuna: https://tabler.io/icons -->"
    text = "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', notice, *symbols, "</svg>\n"])
    SPRITE.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
