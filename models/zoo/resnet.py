"""ResNet backbone with bottlenecks, named and laid out as in detectron2, so that its checkpoints fit."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

# Blocks per stage, and channels of the stem.
RESNETS = {"resnet50": ((3, 4, 6, 3), 64), "resnet101": ((3, 4, 23, 3), 64), "tiny_resnet": ((1, 2, 1, 1), 2)}


class Conv(nn.Conv2d):
    """Convolution without bias and its frozen BatchNorm, which detectron2 names `norm`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = FrozenBatchNorm2d(outputs)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class Bottleneck(nn.Module):
    """1x1 (with the stride, as in the Caffe2 weights), 3x3 and 1x1 convolutions beside a shortcut."""

    def __init__(self, inputs: int, inside: int, outputs: int, stride: int):
        super().__init__()
        if inputs != outputs:
            self.shortcut = Conv(inputs, outputs, 1, stride)
        else:
            self.shortcut = nn.Identity()
        self.conv1 = Conv(inputs, inside, 1, stride)
        self.conv2 = Conv(inside, inside, 3)
        self.conv3 = Conv(inside, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """Image (N,3,H,W) -> features of 1, 2, 4, 8 times 4 w channels at strides 4, 8, 16, 32; w are those of the stem."""

    def __init__(self, name: str):
        super().__init__()
        blocks, width = RESNETS[name]
        self.stem = nn.ModuleDict({"conv1": Conv(3, width, 7, 2)})
        self.channels = [4 * width << index for index in range(len(blocks))]
        inputs = width
        for index, (count, outputs) in enumerate(zip(blocks, self.channels)):
            stage = []
            for block in range(count):
                stride = 2 if index and not block else 1
                stage.append(Bottleneck(inputs, outputs // 4, outputs, stride))
                inputs = outputs
            setattr(self, f"res{index + 2}", nn.Sequential(*stage))

    def forward(self, image: Tensor) -> list[Tensor]:
        x = torch.max_pool2d(F.relu(self.stem["conv1"](image)), 3, 2, 1)
        features = []
        for index in range(len(self.channels)):
            x = self.get_submodule(f"res{index + 2}")(x)
            features.append(x)
        return features
