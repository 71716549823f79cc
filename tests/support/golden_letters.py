"""The letters as frozen files: `tests/golden/letters/<kind>.<language>.{txt,html}`.

A changed file is a changed legal text. After a change that is meant, write them anew and read the
difference: `.venv/bin/python -m tests.support.golden_letters`.
"""

from __future__ import annotations

from pathlib import Path

from agegate.adapters.mail.render import render
from agegate.domain.words import LANGUAGES
from tests.letter_factories import all_letters

FOLDER = Path(__file__).parents[1] / "golden" / "letters"


def letters_as_files() -> dict[str, str]:
    """What each file has to hold, by its name. The text file begins with the subject."""
    files: dict[str, str] = {}
    for language in LANGUAGES:
        for letter in all_letters(language):
            rendered = render(letter)
            name = f"{letter.kind.value}.{language}"
            files[f"{name}.txt"] = f"Subject: {rendered.subject}\n\n{rendered.text}"
            files[f"{name}.html"] = rendered.html
    return files


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, content in letters_as_files().items():
        (FOLDER / name).write_text(content, encoding="utf-8", newline="\n")
        print(name)


if __name__ == "__main__":
    write()
