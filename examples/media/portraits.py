"""Pans over the two portraits beside this file and writes them as a clip: `python3 portraits.py OUT.mp4`.

Needs OpenCV and ffmpeg. 640x360 pixels at 25 frames a second, four seconds for each picture.
"""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, RATE, SECONDS = 640, 360, 25, 4

# Per picture: the window's (centre x, centre y, width) in pixels at the start, in the middle and at the end.
PANS = {
    "astronaut.jpg": [(256, 256, 910), (256, 230, 760), (256, 200, 620)],
    "grace_hopper.jpg": [(256, 230, 720), (256, 260, 820), (256, 300, 1060)],
}


def surround(picture: np.ndarray, border: int) -> np.ndarray:
    """The picture with its edges drawn out and blurred, so that the window may reach past them."""
    wide = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(wide, (0, 0), 25)
    soft[border:-border, border:-border] = picture
    return soft


def frames(picture: np.ndarray, pan: list[tuple[float, float, float]]):
    """The picture seen through a window that glides along `pan`."""
    border = 400
    picture = surround(picture, border)
    count = RATE * SECONDS
    for t in np.linspace(0.0, 1.0, count):
        eased = 0.5 - 0.5 * np.cos(np.pi * t)
        x, y, width = (np.interp(eased, [0.0, 0.5, 1.0], key) for key in zip(*pan))
        scale = WIDTH / width
        matrix = np.array([[scale, 0, WIDTH / 2 - (x + border) * scale], [0, scale, HEIGHT / 2 - (y + border) * scale]])
        yield cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)


def main(out: str) -> None:
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH}x{HEIGHT}"]
    command += ["-r", str(RATE), "-i", "-", "-c:v", "libx264", "-preset", "veryslow", "-crf", "26"]
    encoder = subprocess.Popen([*command, "-pix_fmt", "yuv420p", out], stdin=subprocess.PIPE)
    for name, pan in PANS.items():
        picture = cv2.imread(str(Path(__file__).with_name(name)))
        for frame in frames(picture, pan):
            encoder.stdin.write(frame.tobytes())
    encoder.stdin.close()
    if encoder.wait():
        sys.exit("ffmpeg failed")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
