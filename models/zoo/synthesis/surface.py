"""The DensePose atlas draped on the MakeHuman body: exact I, U, V of any posed body.

The SMPL-numbered surface points S are fixed barycentric points of MakeHuman triangles, so they
follow shape and pose; the atlas' triangles over S carry part and U, V per corner.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .body import AssetError


@dataclass(frozen=True)
class VertexLabels:
    """Label of the body point nearest to each vertex of a mesh, in the rest pose."""

    part: np.ndarray  # (n,) uint8, 1..24
    u: np.ndarray  # (n,) float32 in [0,1]
    v: np.ndarray
    distance: np.ndarray  # (n,) float32 metres


def load_arrays(path, names):
    """Named arrays of an .npz file, or an AssetError that tells what is wrong."""
    try:
        with np.load(path) as archive:
            return [archive[name] for name in names]
    except (OSError, KeyError, ValueError) as error:
        raise AssetError(f"{path}: {error}; --assets must name the training data folder") from error


class Surface:
    """DensePose charts over the MakeHuman body."""

    def __init__(self, folder, figure):
        """`folder`: the assets' `body` folder. `figure`: the body that vertex labels are made on."""
        mh_faces, face, self._bary = load_arrays(
            folder / "smpl2mh.npz", ("mh_faces", "face", "bary"))
        self._corners = mh_faces[face]
        faces, self.part, self.u, self.v = load_arrays(
            folder / "charts.npz", ("faces", "face_part", "corner_u", "corner_v"))
        self.faces = np.ascontiguousarray(faces, np.int32)
        self.u, self.v = np.ascontiguousarray(self.u), np.ascontiguousarray(self.v)
        self._build_tree(self.points(figure.vertices))

    def points(self, vertices):
        """S (6890,3) float32 of a posed base mesh (19158,3)."""
        return np.einsum("nb,nbd->nd", self._bary, vertices[self._corners], dtype=np.float32)

    def _build_tree(self, points):
        # Corners pulled towards the centroid, edge middles and the centroid: a sample per few mm.
        weights = np.array([
            [1, 1, 1], [6, 1, 1], [1, 6, 1], [1, 1, 6], [4, 4, 1], [4, 1, 4], [1, 4, 4]], np.float32)
        weights /= weights.sum(1, keepdims=True)

        def samples(corners):
            return np.einsum("sk,fk...->fs...", weights, corners).reshape(-1, *corners.shape[2:])

        self._tree = cKDTree(samples(points[self.faces]))
        self._sample_u, self._sample_v = samples(self.u), samples(self.v)
        self._sample_part = np.repeat(self.part, len(weights))

    def nearest(self, points):
        """`VertexLabels` of points (n,3) around the body given at construction."""
        distance, index = self._tree.query(points)
        return VertexLabels(
            self._sample_part[index],
            self._sample_u[index].astype(np.float32),
            self._sample_v[index].astype(np.float32),
            distance.astype(np.float32),
        )
