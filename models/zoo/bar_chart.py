"""Horizontal bars with their figures: where time goes, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

_WIDTH, _MARGIN, _GUTTER = 1500, 24, 40
_LABEL, _FIGURE = 230, 120  # room left and right of the bars
_LINE, _BAR, _TITLE = 26, 18, 40
_INK, _FAINT, _BACKGROUND = "#222222", "#777777", "#ffffff"
_COLOUR = "#3a78b5"


class Chart(NamedTuple):
    """A title, and bars with their names: milliseconds, drawn longest first."""

    title: str
    bars: dict[str, float]


def draw(charts: Sequence[Chart], columns: int = 2, least: float = 0.01) -> Image.Image:
    """The charts beside and below each other; bars below the share `least` of their chart's sum become one, "other"."""
    charts = [Chart(title, _gather(bars, least)) for title, bars in charts]
    lines = [charts[i : i + columns] for i in range(0, len(charts), columns)]
    heights = [_TITLE + _LINE * max(len(chart.bars) for chart in line) for line in lines]
    picture = Image.new("RGB", (_WIDTH, 2 * _MARGIN + sum(heights) + _GUTTER * (len(lines) - 1)), _BACKGROUND)
    width = (_WIDTH - 2 * _MARGIN - _GUTTER * (columns - 1)) // columns
    y = _MARGIN
    for line, height in zip(lines, heights):
        for column, chart in enumerate(line):
            _draw(ImageDraw.Draw(picture), chart, _MARGIN + column * (width + _GUTTER), y, width)
        y += height + _GUTTER
    return picture


def _gather(bars: dict[str, float], least: float) -> dict[str, float]:
    total = sum(bars.values())
    kept = {name: ms for name, ms in sorted(bars.items(), key=lambda bar: -bar[1]) if ms >= least * total}
    rest = total - sum(kept.values())
    return {**kept, "other": rest} if rest > 1e-9 * total else kept


def _draw(canvas: ImageDraw.ImageDraw, chart: Chart, x: int, y: int, width: int) -> None:
    font, bold = ImageFont.load_default(16), ImageFont.load_default(20)
    total, longest = sum(chart.bars.values()), max(chart.bars.values(), default=0)
    canvas.text((x, y), f"{chart.title}: {total:.1f} ms", _INK, bold)
    for name, ms in chart.bars.items():
        top = y + _TITLE + (_LINE - _BAR) // 2
        middle = top + _BAR // 2
        length = max(round((width - _LABEL - _FIGURE) * ms / longest), 1) if longest else 1
        canvas.text((x + _LABEL - 10, middle), name, _INK, font, anchor="rm")
        canvas.rectangle((x + _LABEL, top, x + _LABEL + length, top + _BAR), _COLOUR)
        share = 100 * ms / total if total else 0
        canvas.text((x + _LABEL + length + 8, middle), f"{ms:.2f} ms  {share:.0f} %", _FAINT, font, anchor="lm")
        y += _LINE
