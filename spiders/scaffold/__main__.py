"""`python -m spiders.scaffold NAME`: writes the files of a new family, which run at once and wait to be filled in."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template

TEMPLATES = Path(__file__).parent / "templates"
# Template: the file it becomes. Scrapy imports every .py below spiders/, so none of them is called that.
FILES = {
    "spider.txt": "spiders/{}.py",
    "stand_in.txt": "demo/{}.py",
    "page.json": "tests/fixtures/{}/page.json",
    "page.value.json": "tests/fixtures/{}/page.value.json",
    "test.txt": "tests/test_{}.py",
    "source.md": "docs/sources/{}.md",
}
LONGEST_NAME = 24  # characters, so that no line made of it grows too long


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m spiders.scaffold", description=__doc__)
    parser.add_argument(
        "name", metavar="NAME", help="of the family: the software or service that is read, as in wordpress"
    )
    parser.add_argument(
        "--into", type=Path, default=Path(), metavar="DIR", help="the checkout to write to; this folder"
    )
    options = parser.parse_args(arguments)
    if mistake := find_mistake(options.name, options.into):
        parser.error(mistake)
    files = render_files(options.name)
    for name, text in files.items():
        path = options.into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    wrote = "".join(f"wrote {name}\n" for name in files)
    sys.stdout.write(f"{wrote}\n{render_template('example.txt', options.name)}")


def find_mistake(name: str, folder: Path) -> str | None:
    """Why there can be no new family of this name in ``folder``; None where there can."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return f"NAME {name!r}: small letters, digits and _ only, a letter first, as in make family NAME=open_data"
    if keyword.iskeyword(name):
        return f"NAME {name!r} is a word of Python; choose another"
    if len(name) > LONGEST_NAME:
        return f"NAME {name!r}: {LONGEST_NAME} characters at the most"
    names = [f"spiders/{name}", f"demo/{name}", *(pattern.format(name) for pattern in FILES.values())]
    taken = [each for each in names if (folder / each).exists()]
    return f"{', '.join(taken)}: there already, and never overwritten; choose another NAME" if taken else None


def render_files(name: str) -> dict[str, str]:
    """The text of each file of the family, by its path in the checkout."""
    return {pattern.format(name): render_template(template, name) for template, pattern in FILES.items()}


def render_template(template: str, name: str) -> str:
    words = name.replace("_", " ").split()
    values = {
        "name": name,
        "id": "-".join(words),
        "prefix": re.sub("[^a-z]", "", name),
        "title": " ".join(words).capitalize(),
        "class_": "".join(map(str.capitalize, words)),
    }
    text = Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)
    # Where the family's own module stands among the imports depends on its name.
    return re.sub(r"(?:^from .*\n)+", lambda block: "".join(sorted(block[0].splitlines(True))), text, flags=re.M)


if __name__ == "__main__":
    main()
