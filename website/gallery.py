"""Pages of the repository's studies: what their README says, and the figures of their reports."""

from __future__ import annotations

import json
import re
from pathlib import Path

# In the order of a reader: the answer, what it rests on, what explains it.
FIGURES = {
    "quality": "Quality against the number of training images, with the forecast",
    "mixture": "Quality over the images of each source, with lines of equal quality",
    "comparison": "The two methods against the number of training images",
    "network-size": "Quality against the size of the network",
    "map": "Quality over images and parameters",
    "steps": "What more steps of training bring",
    "validation": "Validation during training",
    "explanation": "The measured curve beside the best linear estimator (an explanation, no forecast)",
}
TABLE = re.compile(r"^<!-- table: begin -->$(.*?)^<!-- table: end -->$", re.MULTILINE | re.DOTALL)


def rows(studies: Path) -> list[dict[str, str]]:
    """The table of studies/README.md, a ``dict`` for each row."""
    (table,) = TABLE.findall((studies / "README.md").read_text(encoding="utf-8"))
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def title_of(folder: Path) -> str:
    """The heading of a study's README."""
    return (folder / "README.md").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


def picture_of(folder: Path) -> Path | None:
    """The picture that stands for a study: a comparison, else the first curve of quality."""
    for pattern in (
        "figures/comparison.svg",
        "figures/mixture.svg",
        "figures/quality.svg",
        "*/figures/quality.svg",
        "*/figures/network-size.svg",
    ):
        if found := sorted(folder.glob(pattern)):
            return found[0]
    return None


def gallery_page(studies: Path) -> str:
    """A card for each study, before what studies/README.md says of all of them."""
    cards = ['<div class="gallery" markdown>\n']
    table = rows(studies)
    folders = sorted(path.parent for path in studies.glob("*/README.md"))
    for folder in sorted(folders, key=lambda folder: picture_of(folder) is None):
        own = [row for row in table if row["study"].split("/")[0] == folder.name]
        verdicts = ", ".join(dict.fromkeys(row["verdict"] for row in own))
        picture = picture_of(folder)
        shown = (
            f"![{title_of(folder)}: {FIGURES[picture.stem].lower()}]({picture.relative_to(studies)})\n\n"
            if picture
            else ""
        )
        said = f"{own[0]['task']}, {sum(int(row['runs'].split()[0]) for row in own)} runs: {verdicts}" if own else ""
        cards.append(
            f"<div markdown>\n\n{shown}**[{title_of(folder)}]({folder.name}/README.md)**\n\n{said}\n\n</div>\n"
        )
    cards.append("</div>\n")
    _, rest = (studies / "README.md").read_text(encoding="utf-8").split("\n", 1)
    return f"# Gallery: the studies of this repository\n\n{chr(10).join(cards)}\n## All of them in numbers\n{rest}"


def study_page(folder: Path) -> str:
    """What a study's README says, then its figures and its study files."""
    parts = [(folder / "README.md").read_text(encoding="utf-8").rstrip(), ""]
    shown = parts[0]
    pictures = sorted(
        folder.rglob("figures/*.svg"), key=lambda path: (path.parent.as_posix(), list(FIGURES).index(path.stem))
    )
    if pictures:
        parts.append("## Figures of the report\n")
    for path in pictures:
        place = path.relative_to(folder)
        if place.with_suffix(".png").as_posix() in shown:
            continue
        whose = "" if len(place.parts) == 2 else f"{place.parts[0]}: "
        caption = whose + FIGURES[path.stem]
        parts.append(f"![{caption}{numbers_of(path)}]({place.as_posix()}){{ loading=lazy }}\n\n*{caption}*\n")
    if files := sorted(folder.rglob("study.toml")):
        parts.append("## Study file" + ("s" if len(files) > 1 else "") + "\n")
    for path in files:
        name = path.relative_to(folder).as_posix()
        text = path.read_text(encoding="utf-8").rstrip().replace("\n", "\n    ")
        parts.append(f'??? note "{name}"\n\n    ```toml\n    {text}\n    ```\n')
    return "\n".join(parts)


def numbers_of(picture: Path) -> str:
    """For readers who do not see a picture of quality: the verdict that the numbers beside it have."""
    path = picture.parent / "numbers.json"
    if picture.stem != "quality" or not path.is_file():
        return ""
    verdict = json.loads(path.read_text(encoding="utf-8")).get("verdict")
    return f". Verdict: {verdict}" if verdict else ""
