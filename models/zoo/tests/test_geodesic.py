"""Distances on meshes whose geodesics are known."""

import numpy as np
import pytest

from zoo import geodesic
from zoo.geodesic import Surface, SurfaceError
from zoo.tests.body_mesh import STEP, sheet, write_body


def label(part, u, v):
    return np.array([[part, round(255 * u), round(255 * v)]], np.uint8)


@pytest.fixture(scope="module")
def surface():
    positions, faces, part, u, v = sheet()
    return Surface(geodesic.lookup_table(faces, part, u, v), geodesic.distances(positions, faces))


def test_plane_is_measured_straight():
    positions, faces, *_ = sheet()
    distances = geodesic.distances(positions, faces)
    assert np.array_equal(distances, distances.T) and not distances.diagonal().any()
    corner = {name: np.abs(positions[:, :2] - at).sum(1).argmin() for name, at in {"a": (0, 0), "b": (1, 1), "c": (0, 1), "d": (1, 0)}.items()}
    # Every square has only one diagonal; along the sides alone the other way would be 2.
    assert distances[corner["a"], corner["b"]] == pytest.approx(2**0.5, abs=1e-4)
    assert distances[corner["c"], corner["d"]] == pytest.approx(2**0.5, abs=1e-4)
    straight = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    assert (distances >= straight - 1e-4).all()
    assert (distances <= straight * 1.09 + 1e-4).all()  # eight directions: at most 8.2 % too long


def test_around_a_cylinder_not_through_it():
    around, along = 40, 34
    angle = np.arange(around) * 2 * np.pi / around
    positions = np.concatenate([np.stack([0.2 * np.cos(angle), np.full(around, 0.05 * y), 0.2 * np.sin(angle)], 1) for y in range(along + 1)])
    first = np.array([[y * around + a, y * around + (a + 1) % around] for y in range(along) for a in range(around)])
    faces = np.concatenate([np.c_[first, first[:, 1] + around], np.c_[first[:, 0], first[:, 1] + around, first[:, 0] + around]])
    distances = geodesic.distances(positions, faces)
    assert distances[0, around // 2] == pytest.approx(np.pi * 0.2, rel=0.01)
    assert distances[0, along * around] == pytest.approx(1.7, rel=1e-4)


def test_a_sharp_corner_is_walked_around():
    """Two triangles whose far corners do not see each other across their common side."""
    positions = np.array([[0, 0, 0], [1, 0, 0], [2, 1, 0], [2, -1, 0]], float)
    distances = geodesic.distances(positions, np.array([[0, 1, 2], [1, 0, 3]]))
    assert distances[2, 3] == pytest.approx(2 * 2**0.5, rel=1e-4)  # through vertex 1, not straight (2)


def test_labels(surface):
    assert surface.distance(label(2, 0.2, 0.4), label(2, 0.2, 0.4)) == 0
    assert surface.distance(label(2, 0.2, 0.1), label(2, 0.2, 0.9))[0] == pytest.approx(0.8, abs=STEP)
    # The charts meet at x = 0.5: U of one ends where that of the other begins.
    assert surface.distance(label(2, 1.0, 0.5), label(3, 0.0, 0.5)) == 0
    assert surface.distance(label(2, 0.0, 0.5), label(3, 1.0, 0.5))[0] == pytest.approx(1.0, abs=1e-4)
    there, back = label(2, 0.3, 0.1), label(3, 0.8, 0.7)
    assert surface.distance(there, back) == surface.distance(back, there)


@pytest.mark.parametrize("part", [0, 5, 255])
def test_what_is_no_part_is_infinitely_far(surface, part):
    assert surface.distance(label(2, 0, 0), label(part, 0, 0)) == np.inf
    assert surface.distance(label(part, 0, 0), label(part, 0, 0)) == np.inf


def test_cache(tmp_path, monkeypatch, surface):
    body, cache = write_body(tmp_path), tmp_path / "cache"
    first = Surface.load(body, cache)
    (file,) = cache.iterdir()
    assert np.abs(first.distances - surface.distances).max() < 1e-3
    with monkeypatch.context() as patch:
        patch.setattr(geodesic, "distances", None)  # must not be needed again
        assert np.array_equal(Surface.load(body, cache).distances, first.distances)
    file.write_bytes(b"damaged")
    assert np.array_equal(Surface.load(body, cache).distances, surface.distances.astype(np.float16))


def test_files_that_are_missing_are_named(tmp_path):
    with pytest.raises(SurfaceError, match="charts.npz"):
        Surface.load(tmp_path, tmp_path)
    np.savez(tmp_path / "charts.npz", faces=np.zeros((1, 3)))
    np.savez(tmp_path / "smpl2mh.npz", x=np.zeros((3, 3)))
    with pytest.raises(SurfaceError, match="face_part"):
        Surface.load(tmp_path, tmp_path)
