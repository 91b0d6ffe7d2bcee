"""The three heads: region proposals, person boxes, features for DensePose maps (`zoo.predictors`)."""

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.bifpn import separable_conv
from zoo.context import Aspp, Hourglass, NonLocal
from zoo.settings import BoxHead as BoxHeadConfig
from zoo.settings import DensePoseHead as DensePoseHeadConfig
from zoo.settings import Rpn as RpnConfig


class RpnHead(nn.Module):
    """Feature (N,C,h,w) -> objectness logits (N,A,h,w), deltas (N,4A,h,w) with channel anchor*4 + {dx,dy,dw,dh}."""

    def __init__(self, channels: int, config: RpnConfig):
        super().__init__()
        anchors = len(config.aspect_ratios)
        if config.separable:
            self.conv = separable_conv(channels)
            self.conv[1] = nn.Conv2d(channels, channels, 1)  # no BatchNorm follows, so it needs a bias
        else:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness_logits = nn.Conv2d(channels, anchors, 1)
        self.anchor_deltas = nn.Conv2d(channels, anchors * 4, 1)
        # detectron2 draws all three from normal(0.01); a depthwise-pointwise pair would then start near zero.
        dense = [self.objectness_logits, self.anchor_deltas] + ([] if config.separable else [self.conv])
        for layer in dense:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        if config.separable:
            _kaiming(self.conv)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.conv(feature))
        return self.objectness_logits(x), self.anchor_deltas(x)


class BoxHead(nn.Module):
    """RoI features (R,C,r,r) -> (R, `features`): 3x3 convolutions, residual ones, flattened, fully connected layers; all with ReLU."""

    def __init__(self, channels: int, config: BoxHeadConfig):
        super().__init__()
        self.convs = [f"conv{i + 1}" for i in range(config.convs)]
        self.residuals = [f"residual{i + 1}" for i in range(config.residuals)]
        self.fcs = [f"fc{i + 1}" for i in range(config.fcs)]
        for name in self.convs:
            self.add_module(name, nn.Conv2d(channels, channels, 3, padding=1))
        for name in self.residuals:
            self.add_module(name, Residual(channels, nn.Conv2d(channels, channels, 3, padding=1, bias=False)))
        self.features = channels * config.resolution**2
        for name in self.fcs:
            self.add_module(name, nn.Linear(self.features, config.fc_channels))
            self.features = config.fc_channels
        _kaiming(self)

    def forward(self, rois: Tensor) -> Tensor:
        for name in self.convs + self.residuals:
            rois = F.relu(self.get_submodule(name)(rois))
        x = rois.flatten(1)
        for name in self.fcs:
            x = F.relu(self.get_submodule(name)(x))
        return x


class BoxPredictor(nn.Module):
    """Flat features -> class logits (R, classes; background last), box deltas (R,4)."""

    def __init__(self, features: int, config: BoxHeadConfig):
        super().__init__()
        self.cls_score = nn.Linear(features, len(config.classes))
        self.bbox_pred = nn.Linear(features, 4)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(features), self.bbox_pred(features)


class Residual(nn.Module):
    """x + BatchNorm(conv(x)); ``conv`` keeps the shape and has no bias."""

    def __init__(self, channels: int, conv: nn.Module):
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.bn.weight)  # start as the identity, so that depth does not inflate the outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn(self.conv(x))


class NormConv(nn.Conv2d):
    """3x3 convolution without bias and its GroupNorm, which detectron2 names `norm`."""

    def __init__(self, inputs: int, outputs: int, groups: int):
        super().__init__(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(groups, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class DensePoseHead(nn.Module):
    """RoI features (R,C,r,r) -> (R,`channels`,r,r): ASPP, non-local block, hourglasses, `body_convs` 3x3 convolutions."""

    def __init__(self, channels: int, config: DensePoseHeadConfig):
        super().__init__()
        if config.dilations:
            outputs = config.aspp_channels or channels
            self.ASPP = Aspp(channels, outputs, config)
            channels = outputs
        if config.non_local:
            self.NLBlock = NonLocal(channels, config.resolution)
        self.hourglasses = [f"hourglass{i}" if i > 1 else "hourglass" for i in range(1, len(config.hourglasses) + 1)]
        for name, inside in zip(self.hourglasses, config.hourglasses):
            self.add_module(name, Hourglass(channels, inside, config.resolution))
        self.body_convs = [f"body_conv_fcn{i + 1}" for i in range(config.body_convs)]
        for name in self.body_convs:
            outputs = config.body_channels or channels
            self.add_module(name, _body_conv(channels, outputs, config))
            channels = outputs
        self.channels = channels
        _kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        for name in ("ASPP", "NLBlock", *self.hourglasses):
            x = self._modules[name](x) if name in self._modules else x
        for name in self.body_convs:
            x = F.relu(self.get_submodule(name)(x))
        return x


def _body_conv(inputs: int, outputs: int, config: DensePoseHeadConfig) -> nn.Module:
    if config.separable:
        return Residual(inputs, separable_conv(inputs))
    if config.groups:
        return NormConv(inputs, outputs, config.groups)
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _kaiming(module: nn.Module) -> None:
    """Kaiming-normal weights (ReLU) and zero biases for every convolution inside."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            # fan_in: PyTorch's fan_out ignores groups and would start depthwise layers near zero.
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
