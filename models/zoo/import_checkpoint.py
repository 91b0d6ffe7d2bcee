"""Turns a published checkpoint into a model folder for the plugin.

    python -m zoo.import_checkpoint model.pth --config NAME --out DIR
        [--short-side 256 --post-nms-topk 100 --nms-threshold 0.3]

Reads files with detectron2's parameter names: PyTorch's (`.pth`, the authors of Mobile Parsing R-CNN) and pickles of
NumPy arrays (`.pkl`, detectron2's DensePose models), a bare state dict or one under "model"; the file's code is never
run. Names and shapes have to match the config exactly, everything that does not is listed.
"""

import argparse
import hashlib
import sys
from pathlib import Path

from zoo import checkpoint
from zoo.config import get_config
from zoo.export import ExportError, add_inference_arguments, export, tuned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="the published .pth or .pkl file")
    parser.add_argument(
        "--config", metavar="NAME", default="mobile_parsing_rcnn_b", help="the network, see zoo.params; default: %(default)s"
    )
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--licence", default="that of the checkpoint", help="licence of the weights, for the manifest")
    add_inference_arguments(parser)
    arguments = parser.parse_args()
    try:
        model = checkpoint.load(arguments.checkpoint, tuned(get_config(arguments.config), arguments))
        path = Path(arguments.checkpoint)
        provenance = {"checkpoint": path.name, "checkpoint_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        contents = export(model, arguments.out, provenance, arguments.licence)
    except (ValueError, ExportError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"wrote {arguments.out}: {contents['name']}, {contents['provenance']['parameters']} parameters")


if __name__ == "__main__":
    main()
