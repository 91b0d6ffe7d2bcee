"""What the scripts beside this file share: their arguments, the pipeline that these ask for, and how they end."""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
from typing import Callable

try:
    import densepose
except (ImportError, ValueError) as error:
    sys.exit(
        f"{error}\nPython does not find GStreamer. On Debian: apt-get install python3-gi python3-gst-1.0 "
        "gir1.2-gst-plugins-base-1.0, and run the script with /usr/bin/python3"
    )
from gi.repository import Gst  # noqa: E402


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows `--densepose`; scripts add their own arguments."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument(
        "--densepose",
        metavar="PROPERTIES",
        default="",
        help='properties of the element, such as "interval=2 score-threshold=0.3"',
    )
    return result


INPUT_HELP = "a video or picture file, a camera such as /dev/video0, or an rtsp:// or http:// address"


def source(name: str) -> str:
    """The beginning of a pipeline, to decoded video, for what a user names as input; raises densepose.Error."""
    if name.startswith("rtsp://"):
        return f"rtspsrc location={quoted(name)} latency=100 ! decodebin"
    if "://" in name:
        return f"uridecodebin uri={quoted(name)}"
    if not os.path.exists(name):
        what = "camera" if name.startswith("/dev/") else "file"
        raise densepose.Error(f"there is no {what} '{name}': name {INPUT_HELP}")
    if stat.S_ISCHR(os.stat(name).st_mode):
        return f"v4l2src device={quoted(name)}"
    # Before GStreamer 1.24 decodebin passes by the parser that reads the orientation of photos.
    Gst.init(None)
    jpeg = Gst.ElementFactory.find("jpegparse")
    if jpeg:
        jpeg.set_rank(Gst.Rank.PRIMARY + 10)
    return f"filesrc location={quoted(name)} ! decodebin"


def quoted(text: str) -> str:
    """As a value of a property in a pipeline's description."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def finder(name: str, properties: str, caps: str = "") -> str:
    """A pipeline from an input to `densepose`; `caps` come between, so as to ask for a frame rate.

    Phones store pictures on their side and say so in a tag; the network knows people who stand.
    """
    upright = "videoconvert ! videoflip video-direction=auto"
    return f"{source(name)} ! {caps + ' ! ' if caps else ''}{upright} ! densepose {properties}"


def main(work: Callable[[], None]) -> None:
    """Runs a script to its end: errors in a line on stderr and status 1, Ctrl-C and SIGTERM as a normal end."""

    def interrupt(*_) -> None:
        # A second Ctrl-C must not disturb what the first has begun to end, not even while Python itself ends.
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        work()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (densepose.Error, OSError) as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error}")
