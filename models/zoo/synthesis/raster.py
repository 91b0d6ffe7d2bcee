"""A small z-buffer rasteriser.

Vertices come as (x, y, w): pixels (pixel centres at +0.5) and the inverse distance w = 1/z along
the optical axis, which is linear on the screen. A buffer keeps the largest w per pixel and the id
of its triangle; attributes are interpolated afterwards from the id (deferred shading).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

NEAR = 20.0  # largest w: nearer than 5 cm is cut away
NO_ALPHA = np.zeros((0, 0), np.uint8)
NO_UV = np.zeros((0, 3, 2), np.float32)
OPAQUE = 110  # texture alpha from which a pixel counts as solid


@dataclass
class Buffer:
    """Nearest surface per pixel."""

    ids: np.ndarray  # (h,w) int32 triangle, -1 = none
    depth: np.ndarray  # (h,w) float32 w = 1/z, 0 = none

    @classmethod
    def empty(cls, height, width):
        return cls(np.full((height, width), -1, np.int32), np.zeros((height, width), np.float32))


def draw(buffer, points, faces, base=0, uv=NO_UV, alpha=NO_ALPHA):
    """Draws triangles `faces` (n,3) of `points` (m,3 as x,y,w) with the ids base..base+n.

    Where the `alpha` texture (h,w uint8, rows from the top) is given, its see-through texels at
    the corner coordinates `uv` (n,3,2, v up) are left out.
    """
    _draw(points, faces, base, buffer.ids, buffer.depth, uv, alpha)


@njit(cache=True)
def _draw(points, faces, base, ids, depth, uv, alpha):
    height, width = ids.shape
    cutout = alpha.shape[0] > 0
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        wa, wb, wc = points[a, 2], points[b, 2], points[c, 2]
        # Behind the camera (w <= 0) or closer than the near plane.
        if min(wa, wb, wc) <= 0 or max(wa, wb, wc) > NEAR:
            continue
        ax, ay = points[a, 0], points[a, 1]
        bx, by = points[b, 0], points[b, 1]
        cx, cy = points[c, 0], points[c, 1]
        left, right = min(ax, bx, cx), max(ax, bx, cx)
        top, bottom = min(ay, by, cy), max(ay, by, cy)
        if right < 0 or bottom < 0 or left > width or top > height:
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        x0, x1 = max(0, int(np.floor(left - 0.5))), min(width - 1, int(np.ceil(right - 0.5)))
        y0, y1 = max(0, int(np.floor(top - 0.5))), min(height - 1, int(np.ceil(bottom - 0.5)))
        for y in range(y0, y1 + 1):
            py = y + 0.5
            for x in range(x0, x1 + 1):
                px = x + 0.5
                la = ((bx - px) * (cy - py) - (by - py) * (cx - px)) / area
                lb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) / area
                lc = 1 - la - lb
                if la < 0 or lb < 0 or lc < 0:
                    continue
                w = la * wa + lb * wb + lc * wc
                if w <= depth[y, x]:
                    continue
                if cutout:
                    la, lb, lc = la * wa / w, lb * wb / w, lc * wc / w
                    u = la * uv[f, 0, 0] + lb * uv[f, 1, 0] + lc * uv[f, 2, 0]
                    v = la * uv[f, 0, 1] + lb * uv[f, 1, 1] + lc * uv[f, 2, 1]
                    tx = int(u * alpha.shape[1]) % alpha.shape[1]
                    ty = int((1 - v) * alpha.shape[0]) % alpha.shape[0]
                    if alpha[ty, tx] < OPAQUE:
                        continue
                depth[y, x] = w
                ids[y, x] = base + f


@njit(cache=True)
def barycentric(points, a, b, c, px, py):
    """Perspective-correct weights of the corners a, b, c at a pixel position."""
    ax, ay, wa = points[a, 0], points[a, 1], points[a, 2]
    bx, by, wb = points[b, 0], points[b, 1], points[b, 2]
    cx, cy, wc = points[c, 0], points[c, 1], points[c, 2]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    la = ((bx - px) * (cy - py) - (by - py) * (cx - px)) / area * wa
    lb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) / area * wb
    lc = (1 - la / wa - lb / wb) * wc
    total = la + lb + lc
    return la / total, lb / total, lc / total


@njit(cache=True)
def vertex_normals(vertices, faces):
    """Area-weighted unit normals (n,3) float32; zero where a vertex belongs to no face."""
    normals = np.zeros(vertices.shape, np.float32)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = (vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1],
                      vertices[b, 2] - vertices[a, 2])
        vx, vy, vz = (vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1],
                      vertices[c, 2] - vertices[a, 2])
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for v in range(len(normals)):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if length > 0:
            normals[v] /= length
    return normals
