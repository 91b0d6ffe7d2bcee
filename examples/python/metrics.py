#!/usr/bin/env python3
"""Serve the stats of every densepose element of a pipeline to Prometheus.

    metrics.py [--port 9184] 'PIPELINE'
    curl http://localhost:9184/metrics

PIPELINE is written as for gst-launch-1.0. Ends with the pipeline. Port 0 is any that is free; the address is printed.
"""
import argparse
import http.server
import threading

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

# Fields that only grow are counters; the others are gauges.
COUNTERS = ("frames", "inferences", "reused", "moved", "skipped-late")
GAUGES = ("persons", "inference-mean", "inference-95", "latency", "frames-per-second")


def metrics(pipeline):
    """The stats of all densepose elements as Prometheus reads them."""
    elements = pipeline.iterate_all_by_element_factory_name("densepose")
    stats = {}
    while (step := elements.next())[0] == Gst.IteratorResult.OK:
        stats[step[1].get_name()] = step[1].get_property("stats")
    lines = []
    for field in COUNTERS + GAUGES:
        counter = field in COUNTERS
        name = "densepose_" + field.replace("-", "_") + ("_total" if counter else "")
        lines.append(f"# TYPE {name} {'counter' if counter else 'gauge'}")
        lines += [f'{name}{{element="{element}"}} {s.get_value(field)}' for element, s in stats.items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9184)
    parser.add_argument("pipeline")
    options = parser.parse_args()
    Gst.init(None)
    pipeline = Gst.parse_launch(options.pipeline)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = metrics(pipeline).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("", options.port), Handler)
    print(f"http://localhost:{server.server_port}/metrics", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipeline.set_state(Gst.State.PLAYING)
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = None
    try:
        # Not for ever, so that Python sees Ctrl-C.
        while message is None:
            message = pipeline.get_bus().timed_pop_filtered(Gst.SECOND // 10, kinds)
    except KeyboardInterrupt:
        pass
    pipeline.set_state(Gst.State.NULL)
    server.shutdown()
    if message and message.type == Gst.MessageType.ERROR:
        raise SystemExit(message.parse_error()[0].message)


if __name__ == "__main__":
    main()
