"""Values that a notebook shows. How they look is drawn in ``report``, which is loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

DRAWS = "reconscale.report.notebook"
"""The module that draws, by name: what is shown needs none of it."""


class Shown:
    """A value that stands as a table or a sentence in the output of a notebook."""

    def _repr_html_(self) -> str:
        """The value as HTML, for Jupyter and the like; texts from files are escaped."""
        return str(import_module(DRAWS).html_of(self))


class Drawn(Shown):
    """A value that can be drawn as well."""

    def figure(self, *, title: str = "") -> Any:
        """The figure as it stands in a report: points say their numbers, a frame zooms.

        Of points every run, of a curve and a forecast what is expected, of a decision the gains beside what is
        worthwhile, of a study its runs.

        Args:
            title: heading.

        Returns:
            What a notebook shows; ``save(path)`` writes it as .html, .png or .svg.

        Raises:
            UserError: there is nothing to draw.
        """
        return import_module(DRAWS).figure_of(self, title)

    def plot(self, ax: Any = None) -> Any:
        """Draw the same with matplotlib.

        Args:
            ax: the axes to draw into, whose range and labels are set; none: those of a new figure of pyplot's.

        Returns:
            The axes.

        Raises:
            UserError: ``ax`` is something else, or there is nothing to draw.
        """
        return import_module(DRAWS).plot_of(self, ax)
