"""Renders people whose DensePose labels are exact: body, poses, clothes, rasteriser, scenes."""
