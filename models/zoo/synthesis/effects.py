"""What cameras and codecs do to a picture: blur, exposure, colour, noise, resolution, JPEG."""

import cv2
import numpy as np

from .shading import to_display


def motion_kernel(length, angle):
    """Line kernel of odd size, sum 1, symmetric, so that labels stay registered."""
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    centre = (size - 1) / 2
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = (tuple(int(round(16 * v)) for v in centre + sign * step) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA, 4)
    kernel += kernel[::-1, ::-1]
    return kernel / kernel.sum()


def blur(rng, linear):
    """Random motion blur or defocus, mostly none."""
    draw = rng.random()
    if draw < 0.12:
        kernel = motion_kernel(rng.uniform(2, 8), rng.uniform(0, np.pi))
        return cv2.filter2D(linear, -1, kernel, borderType=cv2.BORDER_REFLECT)
    if draw < 0.4:
        return cv2.GaussianBlur(linear, (0, 0), rng.uniform(0.3, 1.3), borderType=cv2.BORDER_REFLECT)
    return linear


def expose(rng, linear):
    """Exposure and white balance; one scene in eight is dark."""
    dark = rng.random() < 0.12
    gain = rng.uniform(0.06, 0.35) if dark else np.exp(rng.normal(0.05, 0.22))
    balance = np.exp(rng.normal(0, 0.06, 3))
    if rng.random() < 0.12:  # artificial light: strongly warm or cold
        balance *= np.exp(rng.normal(0, 0.22) * np.array([1, 0, -1]))
    return (linear * (gain * balance)).astype(np.float32), dark


def develop(rng, linear):
    """Linear light (h,w,3) -> picture (h,w,3) uint8 with a camera's flaws."""
    linear, dark = expose(rng, blur(rng, linear))
    picture = to_display(linear).astype(np.float32)
    contrast, mean = rng.uniform(0.8, 1.2), picture.mean()
    picture = (picture - mean) * contrast + mean + rng.normal(0, 6)
    if dark:  # cameras raise the gain
        picture *= rng.uniform(1, 1.8)
    if rng.random() < 0.25:
        grey = picture.mean(2, keepdims=True)
        picture = grey + (picture - grey) * (0 if rng.random() < 0.2 else rng.uniform(0.3, 1.5))
    picture = noisy(rng, picture, rng.uniform(4, 16) if dark else rng.exponential(3))
    if rng.random() < 0.15:  # a low-resolution stream, enlarged
        height, width = picture.shape[:2]
        share = rng.uniform(0.4, 0.8)
        small = cv2.resize(picture, (int(width * share), int(height * share)), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.1:  # over-sharpened
        picture += rng.uniform(0.3, 1) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.2))
    return np.clip(picture, 0, 255).astype(np.uint8)


def noisy(rng, picture, sigma):
    """Sensor noise, a part of it in blotches as denoisers leave it."""
    height, width = picture.shape[:2]
    noise = rng.standard_normal((height, width, 3), np.float32)
    if rng.random() < 0.4:
        noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 1.2))
        noise /= noise.std() + 1e-6
    if rng.random() < 0.5:
        noise = 0.7 * noise.mean(2, keepdims=True) * 1.7 + 0.3 * noise
    return picture + np.float32(min(sigma, 18)) * noise
