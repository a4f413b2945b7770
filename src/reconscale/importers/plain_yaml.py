"""Plain values from YAML; nothing in the file is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.importers.log import Plain, flatten, read_text

LONGEST = 1 << 20
"""Characters of a file of settings."""


def read_yaml(path: Path) -> dict[str, Plain]:
    """The plain values of a YAML mapping, by flat name.

    Hyperparameters are often dumped with tags that name Python objects (``!!python/object:...``). The tags are
    ignored: what lies below them is read as the mapping, list or text that it is, and no object is built.

    Raises:
        UserError: PyYAML is not installed, or the file cannot be read as a YAML mapping.
    """
    yaml = require_yaml()
    text = read_text(path)
    if len(text) > LONGEST:
        raise UserError(path, f"has {len(text):,} characters", f"settings have at most {LONGEST:,}")
    try:
        content = yaml.load(text, Loader=_plain_loader(yaml))
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise UserError(path, "is not a YAML mapping", "restore it from a copy")
        return flatten(content, path)
    except UserError:
        raise
    except Exception as error:  # PyYAML raises classes of every kind: IndexError on "!!int ''"
        reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise UserError(path, f"is not YAML ({reason})", "restore it from a copy") from error


def require_yaml() -> Any:
    """The module yaml.

    Raises:
        UserError: it is not installed; the message says what to type.
    """
    try:
        import yaml
    except ImportError as error:
        raise UserError(
            "hparams.yaml", "needs the package PyYAML, which is not installed", "pip install 'reconscale[import]'"
        ) from error
    return yaml


def _plain_loader(yaml: Any) -> Any:
    """PyYAML's safe loader, with every tag that it does not know read as the plain value below it."""
    loader: Any = type("PlainLoader", (yaml.SafeLoader,), {})

    def refuse(load: Any, node: Any) -> None:
        """Merges of merges grow without bounds; dumped hyperparameters have none."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("merge keys, '<<', are not read")

    loader.flatten_mapping = refuse

    def plain(load: Any, tag: str, node: Any) -> object:
        if isinstance(node, yaml.MappingNode):
            return load.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return load.construct_sequence(node, deep=True)
        return load.construct_scalar(node)

    loader.add_multi_constructor("", plain)
    return loader
