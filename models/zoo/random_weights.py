"""Random weights that behave: normalised activations, so that a network without training runs as a trained one does."""

import numpy as np
import torch
from timm.layers.norm_act import FrozenBatchNormAct2d
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from zoo import inference
from zoo.network import ParsingRCNN
from zoo.pooling import pool_box_features, pool_densepose_features
from zoo.settings import Config

MOST_PERSONS = 8  # that the DensePose head is calibrated on
NORMS = (nn.BatchNorm2d, FrozenBatchNormAct2d, FrozenBatchNorm2d)


@torch.no_grad()
def calibrate_normalisation(modules: list[nn.Module], run, generator: torch.Generator) -> None:
    """Gives every BatchNorm the statistics of what it sees in `run()`, and a random affine part."""

    def calibrate(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3))
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
        layer.weight.copy_(torch.rand(mean.shape, generator=generator) + 0.5)
        layer.bias.copy_(torch.rand(mean.shape, generator=generator) - 0.5)

    layers = [layer for module in modules for layer in module.modules() if isinstance(layer, NORMS)]
    hooks = [layer.register_forward_pre_hook(calibrate) for layer in layers]
    run()
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def calibrate_output(layer: nn.Module, outputs: Tensor, mean: float, std: float) -> None:
    """Rescales a linear layer so that `outputs`, computed with it, would have this mean and deviation."""
    factor = std / outputs.std()
    layer.weight.mul_(factor)
    layer.bias.mul_(factor).add_(mean - outputs.mean() * factor)


@torch.no_grad()
def random_network(config: Config, seed: int = 0, picture: np.ndarray | None = None) -> ParsingRCNN:
    """The network with random weights, calibrated on `picture` (uint8 RGB; a small one of noise if there is none).

    It finds people of all sorts of sizes where nobody is, and neither overflows nor dies out.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = ParsingRCNN(config).eval()
    if picture is None:
        picture = np.random.default_rng(seed).integers(0, 256, (192, 256, 3), dtype=np.uint8)
        config = config.tuned(short_side=192, post_nms_topk=100)
    resized = inference.resize(picture, config.input)
    image, size = inference.normalise(resized, config.input), resized.shape[:2]

    calibrate_normalisation([model.backbone], lambda: model.trunk(image), generator)
    rpn = model.proposal_generator["rpn_head"]
    trunk = model.trunk(image)
    calibrate_output(rpn.objectness_logits, torch.cat([x.flatten() for x in trunk.objectness]), -2, 3)
    calibrate_output(rpn.anchor_deltas, torch.cat([x.flatten() for x in trunk.deltas]), 0, 0.3)

    trunk = model.trunk(image)
    proposals, _ = inference.propose(config.rpn, trunk, size)
    scores, deltas = model.box_head(pool_box_features(config, trunk.features, proposals))
    predictor = model.roi_heads["box_predictor"]
    calibrate_output(predictor.cls_score, scores, 0, 2)
    calibrate_output(predictor.bbox_pred, deltas, 0, 0.8)

    boxes = inference.detect(model, trunk.features, proposals, size).boxes
    boxes = (boxes if len(boxes) else proposals)[:MOST_PERSONS]
    rois = pool_densepose_features(config, trunk.features, boxes)
    head, predictor = model.roi_heads["densepose_head"], model.roi_heads["densepose_predictor"]
    calibrate_normalisation([head], lambda: model.densepose_outputs(rois), generator)
    maps = model.densepose_outputs(rois)
    for name, layer, mean, std in (
        ("coarse", "ann_index_lowres", 0, 2),
        ("fine", "index_uv_lowres", 0, 2),
        ("u", "u_lowres", 0.5, 0.3),
        ("v", "v_lowres", 0.5, 0.3),
        ("embedding", "embed_lowres", 0, 1),
    ):
        if hasattr(predictor, layer):
            calibrate_output(predictor.get_submodule(layer), maps[name], mean, std)
    return model
