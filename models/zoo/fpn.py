"""FPN neck (Lin et al. 2017) and the decoder of Panoptic FPN (Kirillov et al. 2019), named as in detectron2."""

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.bifpn import upsample

LEVELS = (2, 3, 4, 5)


class FPN(nn.Module):
    """Image -> P2..P6 (strides 4..64), all of `channels` channels; `bottom_up` is the backbone."""

    def __init__(self, bottom_up: nn.Module, channels: int):
        super().__init__()
        self.bottom_up = bottom_up
        for level, inputs in zip(LEVELS, bottom_up.channels, strict=True):
            setattr(self, f"fpn_lateral{level}", nn.Conv2d(inputs, channels, 1))
            setattr(self, f"fpn_output{level}", nn.Conv2d(channels, channels, 3, padding=1))
        for name, layer in self.named_children():
            if name.startswith("fpn_"):
                nn.init.kaiming_uniform_(layer.weight, a=1)
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = dict(zip(LEVELS, self.bottom_up(image), strict=True))
        merged, outputs = None, []
        for level in reversed(LEVELS):
            lateral = self.get_submodule(f"fpn_lateral{level}")(features[level])
            merged = lateral if merged is None else lateral + upsample(merged)
            outputs.insert(0, self.get_submodule(f"fpn_output{level}")(merged))
        return [*outputs, outputs[-1][..., ::2, ::2]]


class Decoder(nn.Module):
    """P2..P5 -> one map at stride 4: each level brought there by 3x3 convolutions and bilinear x2, then summed."""

    def __init__(self, channels: int):
        super().__init__()
        for level in LEVELS:
            layers = []
            for _ in range(max(level - LEVELS[0], 1)):
                conv = nn.Conv2d(channels, channels, 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(conv.bias)
                layers += [conv, nn.Upsample(scale_factor=2, mode="bilinear")] if level > LEVELS[0] else [conv]
            self.add_module(f"p{level}", nn.Sequential(*layers))
        self.predictor = nn.Conv2d(channels, channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        total = None
        for level, x in zip(LEVELS, features):
            for layer in self.get_submodule(f"p{level}"):
                # detectron2's convolutions hold their ReLU, so that it takes no place in the names.
                x = F.relu(layer(x)) if isinstance(layer, nn.Conv2d) else layer(x)
            total = x if total is None else total + x
        return self.predictor(total)
