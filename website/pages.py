"""What the site shows beside docs/: studies, examples, notebooks that were run, pages of the root (a hook of MkDocs).

Nothing is copied by hand. Every page knows where it lies in the repository, so that links work there and on the site.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Page

sys.path.insert(0, str(Path(__file__).parent))  # MkDocs loads a hook by its path alone

from gallery import gallery_page, study_page
from notebooks import notebook_page

ROOT = Path(__file__).parents[1]
ROOT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
# Not as README, which would be the index of its section.
EXAMPLES = {"examples": "examples.md", "examples/trainers": "trainers.md"}
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"(^ *```.*?^ *```[^\n]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def studies() -> list[Path]:
    """The folders below studies/ that tell of themselves."""
    return sorted(path.parent for path in (ROOT / "studies").glob("*/README.md"))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A page for each study in the navigation."""
    pages = [f"studies/{folder.name}/README.md" for folder in studies()]
    for entry in config.nav:
        if "Gallery" in entry:
            entry["Gallery"] = [entry["Gallery"], *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and pictures that are made here."""
    for old in [file for file in files if file.src_uri.endswith(".ipynb")]:
        made = f"{old.src_uri.removesuffix('.ipynb')}.md"
        files.append(File.generated(config, made, content=notebook_page(Path(old.abs_src_path))))
    for name in ROOT_PAGES:
        files.append(File.generated(config, name, content=(ROOT / name).read_text(encoding="utf-8")))
    files.append(File.generated(config, "studies/README.md", content=gallery_page(ROOT / "studies")))
    for folder in studies():
        place = folder.relative_to(ROOT).as_posix()
        files.append(File.generated(config, f"{place}/README.md", content=study_page(folder)))
        for picture in sorted([*folder.rglob("figures/*.svg"), *folder.rglob("figures/*.png")]):
            files.append(File.generated(config, picture.relative_to(ROOT).as_posix(), abs_src_path=str(picture)))
    for place, page in EXAMPLES.items():
        files.append(File.generated(config, page, content=examples_page(ROOT / place)))
    for name in ("site.css", "site.js", "favicon.svg"):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / "website" / name)))
    return files


def examples_page(folder: Path) -> str:
    """What a folder's README.md says, and the files themselves, by folder; one with a README.md has its own page."""
    parts = [(folder / "README.md").read_text(encoding="utf-8")]
    folders = (path for path in folder.iterdir() if path.is_dir() and not (path / "README.md").is_file())
    for place in sorted(folders):
        parts.append(f"## {place.name}\n")
        for path in sorted(place.iterdir()):
            if language := {".py": "python", ".toml": "toml", ".yml": "yaml"}.get(path.suffix):
                parts.append(f"### {path.name}\n\n```{language}\n{path.read_text(encoding='utf-8').rstrip()}\n```\n")
    return "\n".join(parts)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files of the repository become links between pages of the site."""
    source = page.file.src_uri
    if source == "index.md":
        page.meta["hide"] = ["navigation", "toc"]  # the landing page has the whole width
    pieces = FENCE.split(markdown)  # code is left as it is
    pieces[::2] = [LINK.sub(lambda found: relinked(found, source), piece) for piece in pieces[::2]]
    return "".join(pieces)


def relinked(found: re.Match[str], source: str) -> str:
    """A Markdown link of the page ``source``, with its target's place on the site."""
    opening, target, anchor, closing = found.groups()
    if "://" in target or target.startswith("mailto:"):
        return found.group()
    target = posixpath.relpath(
        site_of(posixpath.join(repository_folder(source), target)), posixpath.dirname(source) or "."
    )
    return f"{opening}{target}{anchor or ''}{closing}"


def repository_folder(source: str) -> str:
    """The folder of the repository in which the page of a source lies."""
    for place, page in EXAMPLES.items():
        if source == page:
            return place
    outside = source in ROOT_PAGES or source.startswith("studies/")
    return posixpath.dirname(source if outside else f"docs/{source}")


def site_of(path: str) -> str:
    """The source on the site of a path in the repository."""
    path = posixpath.normpath(path).removeprefix("docs/")
    if posixpath.basename(path) == "README.md" and posixpath.dirname(path) in EXAMPLES:
        return EXAMPLES[posixpath.dirname(path)]
    return f"{path.removesuffix('.ipynb')}.md" if path.endswith(".ipynb") else path


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """What axe-core found (`make accessibility`) and the theme has not."""
    return reachable(output)


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page that is shown where there is none."""
    return reachable(output) if template_name.endswith(".html") else output


def reachable(output: str) -> str:
    """A name for the theme's search, code that keys can scroll before the theme's script has seen it, and no header of
    a table without a word: it is a cell."""
    named = output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )
    named = named.replace("<pre><span></span><code>", '<pre><span></span><code tabindex="0">')
    return re.sub(r"<th( style=[^>]*)?></th>", r"<td\1></td>", named)
