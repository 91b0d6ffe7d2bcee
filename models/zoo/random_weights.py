"""Random weights that behave: normalised activations, so that a network without training runs as a trained one does."""

import torch
from timm.layers.norm_act import FrozenBatchNormAct2d
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from zoo.network import ParsingRCNN
from zoo.settings import Config

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
def random_network(config: Config, seed: int = 0) -> ParsingRCNN:
    """The network with random weights, for tests of speed: it finds nothing, but neither overflows nor dies out."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = ParsingRCNN(config).eval()
    image = torch.randn(1, 3, 128, 128, generator=generator)
    calibrate_normalisation([model.backbone], lambda: model.trunk(image), generator)
    side = config.densepose.resolution
    rois = torch.randn(2, config.channels, side, side, generator=generator)
    head = model.roi_heads["densepose_head"]
    calibrate_normalisation([head], lambda: model.densepose_outputs(rois), generator)
    return model
