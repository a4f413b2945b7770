"""The tools whose logs can be read, and which one a source is from."""

from __future__ import annotations

from pathlib import Path

from reconscale.foreign import basicsr, lightning, tensorboard, wandb
from reconscale.foreign.logged import Tool
from reconscale.mistakes import Mistake, nearest

TOOLS = {
    "tensorboard": Tool("TensorBoard event files", tensorboard.holds, tensorboard.read),
    "lightning": Tool("Lightning CSVLogger folders", lightning.holds, lightning.read),
    "basicsr": Tool("BasicSR logs", basicsr.holds, basicsr.read),
    "wandb": Tool("W&B exports", wandb.holds, wandb.read),
}
"""Kind -> tool. A new tool is one module with ``holds`` and ``read``, and one entry here."""


def kind_of(source: Path, asked: str | None = None) -> str:
    """The key in ``TOOLS`` of what a source looks like, or ``asked``.

    Raises:
        Mistake: the source is not there, looks like none or several of them, or ``asked`` is none of them.
    """
    if asked is not None and asked not in TOOLS:
        raise Mistake("--kind", f"found '{asked}'", nearest(asked, TOOLS))
    try:
        there = source.exists()
    except OSError as error:  # no permission, or a name that is too long
        raise Mistake(source, f"cannot be read ({error.strerror})", "check the path") from error
    if not there:
        raise Mistake(source, "is not there", "check the path")
    fitting = [kind for kind, tool in TOOLS.items() if tool.holds(source)]
    if asked is not None:
        if asked not in fitting:
            also = f"it looks like {' and '.join(fitting)}" if fitting else "check the path"
            raise Mistake(source, f"holds no {TOOLS[asked].title}", also)
        return asked
    if len(fitting) > 1:
        raise Mistake(source, f"holds logs of several tools ({', '.join(fitting)})", f"say --kind {fitting[0]}")
    if not fitting:
        raise Mistake(
            source,
            "holds no logs that are known here",
            "looked for *.tfevents.* files, metrics.csv, train_*.log and a CSV exported by W&B",
        )
    return fitting[0]
