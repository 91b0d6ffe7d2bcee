"""Pinhole camera. World: metres, y up. Camera space: x right, y down, z forward."""

from dataclasses import dataclass

import numpy as np

from .rotations import rotation_x, rotation_y, rotation_z


@dataclass(frozen=True)
class Camera:
    """Looks along world -z when all angles are zero; a figure facing +z then faces the camera."""

    focal: float  # pixels
    centre: tuple  # principal point (x, y), pixels
    position: tuple  # world, metres
    pitch: float = 0.0  # radians, positive looks down
    yaw: float = 0.0  # radians, positive looks to the left
    roll: float = 0.0

    @classmethod
    def aimed(cls, aim, distance, pitch, focal, centre, roll=0.0):
        """The camera `distance` metres from the world point `aim`, which lies in its middle; yaw is zero."""
        position = np.asarray(aim) + distance * np.array([0, np.sin(pitch), np.cos(pitch)])
        return cls(focal, centre, tuple(position), pitch, roll=roll)

    @property
    def rotation(self):
        """World axes -> camera axes (3,3)."""
        look = np.diag([1.0, -1.0, -1.0])
        return rotation_z(self.roll) @ rotation_x(self.pitch) @ look @ rotation_y(-self.yaw)

    def to_camera(self, world):
        """World points (n,3) in camera space, float32."""
        return ((np.asarray(world) - self.position) @ self.rotation.T).astype(np.float32)

    def project(self, world, scale=1.0):
        """World points (n,3) as x, y in pixels times `scale`, and 1/z; behind the camera 1/z = 0."""
        x, y, z = self.to_camera(world).T
        inverse = np.where(z > 1e-3, 1 / np.maximum(z, 1e-3), 0)
        columns = (
            scale * (self.centre[0] + self.focal * x * inverse),
            scale * (self.centre[1] + self.focal * y * inverse),
            inverse,
        )
        return np.ascontiguousarray(np.stack(columns, 1), np.float32)
