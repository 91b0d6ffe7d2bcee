"""Draws meshes over a background and reads off picture, labels and person masks, all registered."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .raster import Buffer, barycentric, draw
from .shading import SHADOW_MAP, ShadowMap, cast_on_floor, shade, shadow_map, shrink, to_linear
from .surface import VertexLabels
from .textures import Texture

SUPERSAMPLING = 2
IGNORE = 255
SKIN, CLOTH, HAIR, PROP = range(4)
# Farthest point of the picture's surface from the body that still takes its label, metres.
REACH = {SKIN: 1.0, CLOTH: 0.10, HAIR: 0.045, PROP: 0.0}
# Depth difference between picture and body surface at which the body's own label holds at once.
TOUCHING, LOOSE = 0.025, 0.06
# Body regions by part, and which of them meet: cloth over the thigh never takes a hand's label.
_REGION = np.array([0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8])
_MEET = {(1, 4), (1, 6), (1, 8), (4, 5), (5, 3), (6, 7), (7, 2)}
ADJACENT = np.array([[a == b or (a, b) in _MEET or (b, a) in _MEET for b in _REGION] for a in _REGION])


@dataclass(frozen=True)
class Mesh:
    """A textured surface; `person` counts from 1, 0 is an object (background that occludes)."""

    vertices: np.ndarray  # (n,3) float32 world
    faces: np.ndarray  # (m,3) int32
    uv: np.ndarray  # (m,3,2) float32, v up
    texture: Texture
    person: int = 0
    kind: int = PROP
    labels: VertexLabels | None = None  # None: labels come from the body surface alone


@dataclass(frozen=True)
class Rendering:
    linear: np.ndarray  # (h,w,3) float32 linear light
    iuv: np.ndarray  # (h,w,3) uint8: I (0..24, 255 = ignore), U, V
    person: np.ndarray  # (h,w) uint8: 0 = nobody, else the person


def render(meshes, bodies, surface, camera, light, background, shadows=True, floor=None,
           floor_strength=0.5, shadow_size=SHADOW_MAP):
    """Renders a scene.

    bodies: dict person -> S (6890,3) world points of its DensePose surface.
    background: (h,w,3) uint8, also gives the size. floor: height of a plane that takes shadows.
    """
    height, width = background.shape[:2]
    scale = SUPERSAMPLING
    buffer = Buffer.empty(height * scale, width * scale)
    projected, bases, base = [], [], 0
    for mesh in meshes:
        points = camera.project(mesh.vertices, scale)
        draw(buffer, points, mesh.faces, base, mesh.uv, mesh.texture.alpha)
        projected.append(points)
        bases.append(base)
        base += len(mesh.faces)
    light_map = shadow_map(meshes, light, shadow_size) if shadows and meshes else ShadowMap.empty()
    linear = to_linear(background).repeat(scale, 0).repeat(scale, 1)
    if floor is not None and shadows and meshes:
        cast_on_floor(linear, buffer, camera, scale, light_map, floor, floor_strength)
    for mesh, points, start in zip(meshes, projected, bases):
        shade(linear, buffer, mesh, points, start, camera, light, light_map)
    iuv, person = _labels(meshes, projected, bases, buffer, bodies, surface, camera)
    return Rendering(shrink(linear, scale), iuv, person)


def _labels(meshes, projected, bases, buffer, bodies, surface, camera):
    height, width = (n // SUPERSAMPLING for n in buffer.ids.shape)
    picks = _pick(buffer.ids, height, width)
    body_buffer = Buffer.empty(*buffer.ids.shape)
    count = len(surface.faces)
    people = sorted(bodies)
    body_points = np.zeros((len(people), len(next(iter(bodies.values()), ())), 3), np.float32)
    for k, who in enumerate(people):
        body_points[k] = camera.project(bodies[who], SUPERSAMPLING)
        draw(body_buffer, body_points[k], surface.faces, k * count)
    iuv = np.zeros((height, width, 3), np.uint8)
    person = np.zeros((height, width), np.uint8)
    nothing = VertexLabels(np.zeros(0, np.uint8), *(np.zeros(0, np.float32) for _ in range(3)))
    for mesh, points, base in zip(meshes, projected, bases):
        if mesh.person == 0:
            continue
        labels = mesh.labels or nothing
        _label(iuv, person, picks, buffer.ids, buffer.depth, base, mesh.faces, points, labels.part,
               labels.u, labels.v, labels.distance, mesh.person, mesh.kind, REACH[mesh.kind],
               body_buffer.ids, body_buffer.depth, body_points[people.index(mesh.person)],
               people.index(mesh.person) * count, surface.faces, surface.part, surface.u, surface.v)
    return iuv, person


@njit(cache=True)
def _pick(ids, height, width):
    """Which subpixel (flat index) stands for each pixel; -1 where fewer than half are covered."""
    scale = SUPERSAMPLING
    picks = np.full((height, width), -1, np.int64)
    for y in range(height):
        for x in range(width):
            covered, first = 0, -1
            for k in range(scale * scale):
                sy, sx = y * scale + k // scale, x * scale + k % scale
                if ids[sy, sx] >= 0:
                    covered += 1
                    if first < 0:
                        first = sy * ids.shape[1] + sx
            if 2 * covered >= scale * scale:
                picks[y, x] = first
    return picks


@njit(cache=True)
def _byte(value):
    return np.uint8(min(max(value, 0.0), 1.0) * 255 + 0.5)


@njit(cache=True)
def _label(iuv, person, picks, ids, depth, base, faces, points, part, pu, pv, distance, who, kind,
           reach, body_ids, body_depth, body_points, body_base, body_faces, body_part, body_u, body_v):
    stride = ids.shape[1]
    for y in range(picks.shape[0]):
        for x in range(picks.shape[1]):
            if picks[y, x] < 0:
                continue
            sy, sx = picks[y, x] // stride, picks[y, x] % stride
            f = ids[sy, sx] - base
            if f < 0 or f >= len(faces):
                continue
            person[y, x] = who
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            g = body_ids[sy, sx] - body_base
            seen = 0  # part of the body surface behind this very pixel
            if 0 <= g < len(body_faces):
                own = body_part[g]
                gap = abs(1 / depth[sy, sx] - 1 / body_depth[sy, sx])
                if len(part) == 0 or (gap < TOUCHING and ADJACENT[own, part[a]]):
                    seen = own
                elif gap < LOOSE and (own == part[a] or own == part[b] or own == part[c]):
                    seen = own
            if seen > 0:
                la, lb, lc = barycentric(
                    body_points, body_faces[g, 0], body_faces[g, 1], body_faces[g, 2],
                    sx + 0.5, sy + 0.5)
                iuv[y, x, 0] = seen
                iuv[y, x, 1] = _byte(la * body_u[g, 0] + lb * body_u[g, 1] + lc * body_u[g, 2])
                iuv[y, x, 2] = _byte(la * body_v[g, 0] + lb * body_v[g, 1] + lc * body_v[g, 2])
                continue
            if len(part) == 0:
                iuv[y, x, 0] = IGNORE
                continue
            la, lb, lc = barycentric(points, a, b, c, sx + 0.5, sy + 0.5)
            near = a if la >= lb and la >= lc else (b if lb >= lc else c)
            far = la * distance[a] + lb * distance[b] + lc * distance[c]
            if far > reach or (kind == HAIR and part[near] < 23):
                iuv[y, x, 0] = IGNORE
                continue
            # U, V run smoothly only inside one chart: corners of other parts are left out.
            total, u, v = 0.0, 0.0, 0.0
            for k in range(3):
                corner, weight = (a, la) if k == 0 else ((b, lb) if k == 1 else (c, lc))
                smooth = abs(pu[corner] - pu[near]) + abs(pv[corner] - pv[near]) < 0.3
                if part[corner] == part[near] and smooth:
                    total += weight
                    u += weight * pu[corner]
                    v += weight * pv[corner]
            iuv[y, x, 0] = part[near]
            iuv[y, x, 1] = _byte(u / total)
            iuv[y, x, 2] = _byte(v / total)
