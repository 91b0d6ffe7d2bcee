"""Rotation matrices (3,3), acting on column vectors; angles in radians."""

import numpy as np


def axis_angle(axis, angle):
    """Rotation by `angle` around `axis` (3,), by Rodrigues' formula."""
    x, y, z = np.asarray(axis, float) / (np.linalg.norm(axis) + 1e-12)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def rotation_x(angle):
    return axis_angle((1, 0, 0), angle)


def rotation_y(angle):
    return axis_angle((0, 1, 0), angle)


def rotation_z(angle):
    return axis_angle((0, 0, 1), angle)


def from_quaternion(quaternion):
    """Rotation of a quaternion (w,x,y,z), normalised here."""
    w, x, y, z = np.asarray(quaternion, float) / np.linalg.norm(quaternion)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])


def to_rotation_vector(rotation):
    """Axis times angle (3,), angle in [0, pi]."""
    angle = np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    if angle < 1e-6:
        return np.zeros(3)
    if angle > np.pi - 1e-3:
        # The antisymmetric part vanishes here; R + 1 = 2 a a^T gives the axis.
        outer = (rotation + np.eye(3)) / 2
        axis = outer[np.argmax(np.diag(outer))]
        return axis / np.linalg.norm(axis) * angle
    antisymmetric = rotation - rotation.T
    axis = np.array([antisymmetric[2, 1], antisymmetric[0, 2], antisymmetric[1, 0]])
    return axis / (2 * np.sin(angle)) * angle


def fraction(rotation, share):
    """The same rotation by `share` of its angle (spherical interpolation from the identity)."""
    vector = to_rotation_vector(rotation)
    return axis_angle(vector, np.linalg.norm(vector) * share) if np.any(vector) else np.eye(3)


def shortest_arc(source, target):
    """The smallest rotation that takes direction `source` (3,) to direction `target` (3,)."""
    a = np.asarray(source, float) / np.linalg.norm(source)
    b = np.asarray(target, float) / np.linalg.norm(target)
    axis = np.cross(a, b)
    if np.linalg.norm(axis) < 1e-8:
        if a @ b > 0:
            return np.eye(3)
        axis = np.cross(a, np.eye(3)[np.argmin(np.abs(a))])
    return axis_angle(axis, np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


def frame(primary, secondary):
    """Orthonormal columns: `primary`, the part of `secondary` square to it, their cross product."""
    first = np.asarray(primary, float) / np.linalg.norm(primary)
    second = np.asarray(secondary, float) - first * (first @ np.asarray(secondary, float))
    second /= np.linalg.norm(second) + 1e-12
    return np.stack([first, second, np.cross(first, second)], axis=1)
