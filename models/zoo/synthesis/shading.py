"""Light on meshes: one directional light with a shadow map, sky and ground light, a little gloss.

Colours are linear light; `to_display` applies the sRGB-like curve.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .raster import Buffer, barycentric, draw, vertex_normals

LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)
DISPLAY = np.round(255 * (np.arange(4097) / 4096.0) ** (1 / 2.2)).astype(np.uint8)
SHADOW_MAP = 384  # pixels
SHADOW_BIAS = 0.03  # metres


@dataclass(frozen=True)
class Light:
    direction: tuple  # unit vector towards the light, world
    colour: tuple  # of the directional light
    sky: tuple  # light on surfaces that face up
    ground: tuple  # light on surfaces that face down
    gloss: float = 0.0


@dataclass(frozen=True)
class ShadowMap:
    """Distance to the light, seen from it in parallel projection."""

    matrix: np.ndarray  # (3,4): world -> pixel x, pixel y, w (larger = nearer to the light)
    depth: np.ndarray  # (n,n) float32

    @classmethod
    def empty(cls):
        return cls(np.zeros((3, 4), np.float32), np.zeros((0, 0), np.float32))


def shadow_map(meshes, light, size=SHADOW_MAP):
    """Shadow map of all meshes (with `vertices` and `faces`)."""
    forward = -np.asarray(light.direction, float)
    side = np.cross(forward, (0, 1, 0) if abs(forward[1]) < 0.95 else (1, 0, 0))
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(forward, side), -forward])
    seen = np.concatenate([m.vertices[:: 1 + len(m.vertices) // 2000] for m in meshes]) @ axes.T
    low, high = seen.min(0) - 0.1, seen.max(0) + 0.1
    scale = size / max(high[0] - low[0], high[1] - low[1])
    matrix = np.zeros((3, 4))
    matrix[:2, :3], matrix[:2, 3] = scale * axes[:2], -scale * low[:2]
    matrix[2, :3], matrix[2, 3] = axes[2], 1 - low[2]  # positive, in metres
    # The rasteriser keeps the largest w below its near limit, so depth is shrunk into (0, 1].
    span = high[2] - low[2] + 2
    buffer = Buffer.empty(size, size)
    for mesh in meshes:
        points = mesh.vertices @ matrix[:, :3].T + matrix[:, 3]
        points[:, 2] = np.maximum(points[:, 2], 1e-3) / span
        draw(buffer, np.ascontiguousarray(points, np.float32), mesh.faces, 0)
    return ShadowMap(matrix.astype(np.float32), buffer.depth * np.float32(span))


@njit(cache=True)
def lit_share(matrix, depth, x, y, z, bias):
    """Share of directional light (0..1) that reaches a world point: 3x3 shadow map lookups."""
    n = depth.shape[0]
    if n == 0:
        return 1.0
    px = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
    py = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3] + bias
    lit = 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            ix, iy = int(px) + dx, int(py) + dy
            if ix < 0 or iy < 0 or ix >= n or iy >= n or depth[iy, ix] <= max(w, 0):
                lit += 1
    return lit / 9.0


def shade(image, buffer, mesh, points, base, camera, light, shadows):
    """Paints the pixels of `mesh` (triangle ids from `base`) into the linear `image` (h,w,3)."""
    x0, x1, y0, y1 = _extent(points, *buffer.ids.shape)
    colours = np.array([light.colour, light.sky, light.ground], np.float32)
    _shade(image, buffer.ids, x0, x1, y0, y1, base, mesh.faces, points, mesh.vertices,
           vertex_normals(mesh.vertices, mesh.faces), mesh.uv, mesh.texture.rgb,
           np.asarray(camera.position, np.float32), np.asarray(light.direction, np.float32), colours,
           np.float32(light.gloss), shadows.matrix, shadows.depth, LINEAR)


@njit(cache=True)
def _extent(points, height, width):
    """Pixel ranges x0, x1, y0, y1 that projected points can touch."""
    left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
    for p in range(len(points)):
        if points[p, 2] <= 0:
            return 0, width, 0, height
        left, right = min(left, points[p, 0]), max(right, points[p, 0])
        top, bottom = min(top, points[p, 1]), max(bottom, points[p, 1])
    return (int(min(max(left - 1, 0), width)), int(min(max(right + 2, 0), width)),
            int(min(max(top - 1, 0), height)), int(min(max(bottom + 2, 0), height)))


@njit(cache=True)
def _shade(image, ids, x0, x1, y0, y1, base, faces, points, world, normals, uv, texture,
           eye, towards, colours, gloss, shadow_matrix, shadow_depth, linear):
    th, tw = texture.shape[:2]
    for y in range(y0, y1):
        for x in range(x0, x1):
            f = ids[y, x] - base
            if f < 0 or f >= len(faces):
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            la, lb, lc = barycentric(points, a, b, c, x + 0.5, y + 0.5)
            wx = la * world[a, 0] + lb * world[b, 0] + lc * world[c, 0]
            wy = la * world[a, 1] + lb * world[b, 1] + lc * world[c, 1]
            wz = la * world[a, 2] + lb * world[b, 2] + lc * world[c, 2]
            nx = la * normals[a, 0] + lb * normals[b, 0] + lc * normals[c, 0]
            ny = la * normals[a, 1] + lb * normals[b, 1] + lc * normals[c, 1]
            nz = la * normals[a, 2] + lb * normals[b, 2] + lc * normals[c, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            ex, ey, ez = eye[0] - wx, eye[1] - wy, eye[2] - wz
            far = np.sqrt(ex * ex + ey * ey + ez * ez) + 1e-9
            ex, ey, ez = ex / far, ey / far, ez / far
            if nx * ex + ny * ey + nz * ez < 0:  # cloth is seen from both sides
                length = -length
            nx, ny, nz = nx / length, ny / length, nz / length
            diffuse = nx * towards[0] + ny * towards[1] + nz * towards[2]
            shine = np.float32(0)
            if diffuse > 0:
                diffuse *= lit_share(shadow_matrix, shadow_depth, wx + 0.01 * nx, wy + 0.01 * ny,
                                     wz + 0.01 * nz, SHADOW_BIAS)
                if gloss > 0:  # Blinn-Phong
                    hx, hy, hz = ex + towards[0], ey + towards[1], ez + towards[2]
                    h = nx * hx + ny * hy + nz * hz
                    h /= np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
                    shine = gloss * diffuse * max(h, 0.0) ** 24
            else:
                diffuse = 0.0
            up = 0.5 + 0.5 * ny
            # Bilinear texture lookup, wrapped.
            tx = (la * uv[f, 0, 0] + lb * uv[f, 1, 0] + lc * uv[f, 2, 0]) * tw - 0.5
            ty = (1 - (la * uv[f, 0, 1] + lb * uv[f, 1, 1] + lc * uv[f, 2, 1])) * th - 0.5
            fx, fy = np.floor(tx), np.floor(ty)
            rx, ry = tx - fx, ty - fy
            ix, iy = int(fx) % tw, int(fy) % th
            jx, jy = (ix + 1) % tw, (iy + 1) % th
            for k in range(3):
                albedo = (1 - ry) * (
                    (1 - rx) * linear[texture[iy, ix, k]] + rx * linear[texture[iy, jx, k]]
                ) + ry * ((1 - rx) * linear[texture[jy, ix, k]] + rx * linear[texture[jy, jx, k]])
                ambient = up * colours[1, k] + (1 - up) * colours[2, k]
                image[y, x, k] = albedo * (ambient + diffuse * colours[0, k]) + shine * colours[0, k]


def cast_on_floor(image, buffer, camera, scale, shadows, floor, strength):
    """Darkens background pixels whose ray meets the plane y = `floor` in shadow."""
    _cast_on_floor(image, buffer.ids, camera.rotation.astype(np.float32),
                   np.asarray(camera.position, np.float32), np.float32(camera.focal * scale),
                   np.float32(camera.centre[0] * scale), np.float32(camera.centre[1] * scale),
                   shadows.matrix, shadows.depth, np.float32(floor), np.float32(strength))


@njit(cache=True)
def _cast_on_floor(image, ids, rotation, eye, focal, cx, cy, matrix, depth, floor, strength):
    height, width = ids.shape
    for y in range(height):
        for x in range(width):
            if ids[y, x] >= 0:
                continue
            px, py = (x + 0.5 - cx) / focal, (y + 0.5 - cy) / focal
            dy = rotation[0, 1] * px + rotation[1, 1] * py + rotation[2, 1]
            if dy > -1e-3:
                continue
            t = (floor - eye[1]) / dy
            dx = rotation[0, 0] * px + rotation[1, 0] * py + rotation[2, 0]
            dz = rotation[0, 2] * px + rotation[1, 2] * py + rotation[2, 2]
            share = lit_share(matrix, depth, eye[0] + t * dx, floor, eye[2] + t * dz, SHADOW_BIAS)
            factor = 1 - strength * (1 - share)
            for k in range(3):
                image[y, x, k] *= factor


def to_linear(picture):
    """uint8 display values -> linear float32."""
    return LINEAR[picture]


def to_display(linear):
    """Linear light (clipped to [0,1]) -> uint8 display values."""
    return DISPLAY[(np.clip(linear, 0, 1) * 4096).astype(np.int32)]


@njit(cache=True)
def shrink(image, scale):
    """Mean over scale x scale pixels of (h,w,3) float32."""
    height, width = image.shape[0] // scale, image.shape[1] // scale
    out = np.zeros((height, width, 3), np.float32)
    for y in range(height * scale):
        for x in range(width * scale):
            for k in range(3):
                out[y // scale, x // scale, k] += image[y, x, k]
    return out / np.float32(scale * scale)
