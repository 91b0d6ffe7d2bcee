#!/usr/bin/env python3
"""Serves a camera, a file (over and over) or an RTSP stream with people drawn on it, at rtsp://HOST:PORT/densepose.

The network runs only while somebody watches, and once, however many do. Ctrl-C ends.

Examples: rtsp_server.py /dev/video0
          rtsp_server.py in.mp4 --overlay "style=contour canvas=gray"
Watch:    gst-launch-1.0 rtspsrc location=rtsp://localhost:8554/densepose latency=100 ! decodebin ! videoconvert ! autovideosink
"""

from __future__ import annotations

import signal
from typing import Callable

from command_line import INPUT_HELP, densepose, finder, main, parser

import gi

try:
    gi.require_version("GstRtspServer", "1.0")
except ValueError as error:
    raise SystemExit(f"{error}\nGStreamer's RTSP server is missing: install gir1.2-gst-rtsp-server-1.0") from error
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PATH = "/densepose"
NEEDED = {
    "densepose": "build it with `make build` and set GST_PLUGIN_PATH to target/release, or `make install` it",
    "x264enc": "install gstreamer1.0-plugins-ugly",
    "rtph264pay": "install gstreamer1.0-plugins-good",
}
# No frame waits for a later one; a viewer who joins sees a picture within two seconds at 15 frames per second.
ENCODER = "x264enc tune=zerolatency speed-preset=veryfast key-int-max=30 bitrate={bitrate} ! video/x-h264,profile=main"
# Each frame leaves with the time at which it came, so that a file may begin again without viewers noticing.
STREAM = "( appsrc name=video is-live=true do-timestamp=true format=time ! rtph264pay name=pay0 pt=96 config-interval=-1 )"


class Player:
    """Plays the input, with people drawn on it and encoded, into the `appsrc` of whoever watches; raises Error."""

    def __init__(self, description: str, failed: Callable[[str], None]) -> None:
        self.description = description
        self.failed = failed
        self.pipeline = None
        self.target = None
        self._check()

    def _make(self) -> Gst.Element:
        try:
            return Gst.parse_launch(self.description)
        except GLib.Error as error:
            raise densepose.Error(f"cannot make the pipeline '{self.description}': {error.message}") from error

    def _check(self) -> None:
        """Opens the input once, so that what is wrong with it is told at the start, not to the first viewer."""
        pipeline = self._make()
        pipeline.set_state(Gst.State.PAUSED)
        result, _state, _pending = pipeline.get_state(10 * Gst.SECOND)
        opened = result in (Gst.StateChangeReturn.SUCCESS, Gst.StateChangeReturn.NO_PREROLL)
        # What failed may say so a little later than the change of state does.
        message = pipeline.get_bus().timed_pop_filtered(0 if opened else 2 * Gst.SECOND, Gst.MessageType.ERROR)
        pipeline.set_state(Gst.State.NULL)
        if message:
            raise densepose.Error(_words(message))
        if result == Gst.StateChangeReturn.FAILURE:
            raise densepose.Error(f"the pipeline '{self.description}' does not start")

    def play(self, target: Gst.Element) -> None:
        self.stop(self.target)
        self.target = target
        # Made anew each time: what links itself when it sees the input does so once.
        self.pipeline = self._make()
        self.pipeline.get_by_name("out").connect("new-sample", self._pass_on)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _bus, message: self.failed(_words(message)))
        bus.connect("message::eos", self._again)
        bus.connect("message::latency", lambda *_: self.pipeline and self.pipeline.recalculate_latency())
        self.pipeline.set_state(Gst.State.PLAYING)

    def stop(self, target: Gst.Element | None) -> None:
        """Stops, unless it plays for another one by now."""
        if self.pipeline and target is self.target:
            self.pipeline.get_bus().remove_signal_watch()
            self.pipeline.set_state(Gst.State.NULL)
            self.pipeline = self.target = None

    def _pass_on(self, sink: Gst.Element) -> Gst.FlowReturn:
        sample, target = sink.emit("pull-sample"), self.target
        if sample and target:
            buffer = sample.get_buffer()
            target.set_property("caps", sample.get_caps())
            # A buffer of its own, for it goes without the time of the input. A viewer who is gone is no error: the
            # server will say so.
            target.emit("push-buffer", Gst.Buffer.new_wrapped(buffer.extract_dup(0, buffer.get_size())))
        return Gst.FlowReturn.OK

    def _again(self, *_) -> None:
        if not self.pipeline.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, 0):
            self.failed("the input ended and cannot be played again from its beginning")


def _words(message: Gst.Message) -> str:
    error, details = message.parse_error()
    return f"{message.src.get_name()}: {error.message}\n{details or ''}".rstrip()


class Server:
    """Offers the player's video; plays while somebody watches."""

    def __init__(self, port: int, player: Player) -> None:
        self.player = player
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(STREAM)
        # One pipeline for all viewers, without a buffer against jitter on this side.
        factory.set_shared(True)
        factory.set_latency(0)
        factory.connect("media-configure", self._begin)
        self.server = GstRtspServer.RTSPServer()
        self.server.set_service(str(port))
        self.server.get_mount_points().add_factory(PATH, factory)
        if not self.server.attach(None):
            raise densepose.Error(f"cannot listen on port {port}: is it taken? Choose another with --port")

    def address(self) -> str:
        return f"rtsp://localhost:{self.server.get_bound_port()}{PATH}"

    def _begin(self, _factory, media) -> None:
        # Called by a thread of the server's; the player is handled by the main loop alone.
        target = media.get_element().get_by_name("video")
        media.connect("unprepared", lambda _media: GLib.idle_add(self.player.stop, target))
        GLib.idle_add(self.player.play, target)

    def close(self) -> None:
        self.server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
        self.player.stop(self.player.target)


def work() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("input", metavar="INPUT", help=INPUT_HELP)
    arguments.add_argument("--overlay", metavar="PROPERTIES", default="", help="properties of densepose-overlay")
    arguments.add_argument("--port", type=int, default=8554, help="TCP port, 0 = any that is free (default: 8554)")
    arguments.add_argument("--bitrate", type=int, default=2048, help="of the video, in kbit/s (default: 2048)")
    given = arguments.parse_args()
    Gst.init(None)
    for element, remedy in NEEDED.items():
        if not Gst.ElementFactory.find(element):
            raise densepose.Error(f"GStreamer does not find the element '{element}': {remedy}")

    loop = GLib.MainLoop()
    problems: list[str] = []

    def fail(problem: str) -> None:
        problems.append(problem)
        loop.quit()

    player = Player(
        f"{finder(given.input, given.densepose)} ! densepose-overlay {given.overlay} ! videoconvert "
        f"! {ENCODER.format(bitrate=given.bitrate)} ! appsink name=out emit-signals=true sync=true qos=true max-buffers=1",
        fail,
    )
    server = Server(given.port, player)

    def end() -> bool:
        loop.quit()
        # Goes on listening: a second Ctrl-C must not disturb what the first has begun to end.
        return GLib.SOURCE_CONTINUE

    for name in (signal.SIGINT, signal.SIGTERM):
        # GLib's handler takes over, and stays when Python, as it ends, gives up handlers of its own.
        signal.signal(name, signal.SIG_IGN)
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, name, end)
    print(f"{given.input} is served at {server.address()}, Ctrl-C ends", flush=True)
    loop.run()
    server.close()
    if problems:
        raise densepose.Error(problems[0])


main(work)
