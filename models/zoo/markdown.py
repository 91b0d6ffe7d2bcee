"""Markdown tables as all reports of the zoo write them."""

from collections.abc import Sequence

from tabulate import tabulate


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = ()) -> str:
    """The rows' cells under the names of their columns; to the right, but for the first column and those named in ``left``."""
    align = ["left" if place == 0 or name in left else "right" for place, name in enumerate(columns)]
    return tabulate([list(columns), *rows], "firstrow", tablefmt="pipe", colalign=align, disable_numparse=True)
