"""A body of two square sheets for tests: 0.5 m wide, 1 m tall each, side by side, with charts.

The sheet x < 0.5 is the torso's front (part 2), the other one the right hand (part 3). U runs along x, V along y.
"""

import numpy as np

STEP = 0.05


def sheet(columns=20, rows=20):
    """positions (n, 3), faces (m, 3), face_part (m), corner_u, corner_v (m, 3) of the charts."""
    x, y = np.meshgrid(np.arange(columns + 1) * STEP, np.arange(rows + 1) * STEP)
    positions = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1)
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    lower = np.stack([corner, corner + 1, corner + columns + 2], 1)
    upper = np.stack([corner, corner + columns + 2, corner + columns + 1], 1)
    faces = np.concatenate([lower, upper]).astype(np.int32)
    left = positions[faces][:, :, 0].mean(1) < 0.5
    u = positions[faces][:, :, 0] * 2 - np.where(left, 0, 1)[:, None]
    v = positions[faces][:, :, 1]
    return positions, faces, np.where(left, 2, 3).astype(np.uint8), u.astype(np.float32), v.astype(np.float32)


def write_body(folder):
    """The files that `zoo.geodesic.Surface.load` reads."""
    positions, faces, part, u, v = sheet()
    np.savez(folder / "charts.npz", faces=faces, face_part=part, corner_u=u, corner_v=v)
    np.savez(folder / "smpl2mh.npz", x=positions.astype(np.float32))
    return folder
