"""Makes keras_tx/text/graph/grapheme_ranges.py: the characters of the classes by which Unicode finds clusters.

    python tests/golden/make_graphemes.py

needs regex 2026.1.15, whose Unicode is 17.0, as that of tokenizers 0.23 is.
"""

import textwrap
from collections.abc import Iterable
from pathlib import Path

import regex

FILE = Path(__file__).parents[2] / "keras_tx" / "text" / "graph" / "grapheme_ranges.py"
CLASSES = {
    "PREPEND": r"\p{GCB=Prepend}",
    "CONTROL": r"[\p{GCB=Control}\p{GCB=CR}\p{GCB=LF}]",
    "EXTEND": r"[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]",
}
EVERY = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))


def ranges(characters: Iterable[str]) -> str:
    """Hexadecimal code points, `first-last` or one alone."""
    found: list[list[int]] = []
    for point in map(ord, characters):
        if found and point == found[-1][1] + 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return " ".join(f"{first:x}" if first == last else f"{first:x}-{last:x}" for first, last in found)


def main() -> None:
    lines = [
        '"""Characters of the classes by which Unicode 17.0 finds clusters; tests/golden/make_graphemes.py wrote it."""'
    ]
    for name, pattern in CLASSES.items():
        text = ranges(regex.findall(pattern, EVERY))
        lines += ["", f'{name} = """', *textwrap.wrap(text, 116, break_on_hyphens=False), '"""']
    FILE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
