"""Last layers of the DensePose head: charts, charts with confidences, or embeddings of a continuous surface."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.settings import DensePoseHead

CONFIDENCE_EPSILON = 0.01  # least confidence of the segmentations


class DensePoseOutput(NamedTuple):
    """Per person, at twice the RoI resolution: logits `coarse`, `fine` and coordinates `u`, `v` (one map per part)."""

    coarse: Tensor  # (R, coarse channels, 2r, 2r); channel 0 is background
    fine: Tensor  # (R, parts + 1, 2r, 2r); channel 0 is background
    u: Tensor  # (R, parts + 1, 2r, 2r), about 0..1, not clamped
    v: Tensor


class Predictor(nn.Module):
    """Features (R,C,r,r) -> named maps, each by a 4x4 stride-2 transposed convolution and bilinear upsampling."""

    def __init__(self, config: DensePoseHead):
        super().__init__()
        self.upsampling = config.upsampling

    def add(self, channels: int, outputs: dict[str, int]) -> None:
        """Adds layers of these names and numbers of channels, with new weights."""
        for name, count in outputs.items():
            layer = nn.ConvTranspose2d(channels, count, 4, stride=2, padding=1)
            nn.init.zeros_(layer.bias)
            self.add_module(name, layer)
        for name in outputs:
            nn.init.kaiming_normal_(self.get_submodule(name).weight, mode="fan_out", nonlinearity="relu")

    def maps(self, name: str, x: Tensor) -> Tensor:
        """What the layer `name` says."""
        x = self.get_submodule(name)(x)
        if self.upsampling == 1:
            return x
        return F.interpolate(x, scale_factor=float(self.upsampling), mode="bilinear", align_corners=False)


class ChartPredictor(Predictor):
    """Features -> `DensePoseOutput`, with confidences where the config asks for them.

    `sigma_2`, `kappa_u` and `kappa_v` are those of U and V (Neverova et al. 2019), as the layers say them.
    `coarse_confidence` and `fine_confidence` (Sanakoyeu et al. 2020) are above 0 and scale the logits.
    """

    def __init__(self, channels: int, config: DensePoseHead):
        super().__init__(config)
        charts = config.parts + 1
        outputs = {"ann_index_lowres": config.coarse_channels, "index_uv_lowres": charts}
        self.add(channels, {**outputs, "u_lowres": charts, "v_lowres": charts})
        self.of_coordinates = [name for name in config.confidences if name not in DensePoseOutput._fields]
        self.of_logits = [name for name in config.confidences if name in DensePoseOutput._fields]
        confidences = {f"{name}_lowres": charts for name in self.of_coordinates}
        self.add(channels, {**confidences, **{f"{name}_segm_confidence_lowres": 1 for name in self.of_logits}})

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        """All maps by name: those of `DensePoseOutput`, in its order, then the confidences."""
        names = ("ann_index_lowres", "index_uv_lowres", "u_lowres", "v_lowres")
        outputs = {key: self.maps(name, x) for key, name in zip(DensePoseOutput._fields, names)}
        outputs |= {name: self.maps(f"{name}_lowres", x) for name in self.of_coordinates}
        for name in self.of_logits:
            confidence = F.softplus(self.maps(f"{name}_segm_confidence_lowres", x)) + CONFIDENCE_EPSILON
            outputs[name] = outputs[name] * confidence
            outputs[f"{name}_confidence"] = confidence
        return outputs

    def forward(self, x: Tensor) -> DensePoseOutput:
        outputs = self.outputs(x)
        return DensePoseOutput(*(outputs[name] for name in DensePoseOutput._fields))


class EmbeddingPredictor(Predictor):
    """Continuous surface embeddings (Neverova et al. 2020): `coarse` logits and an `embedding` of each place.

    What part of the body a place belongs to follows from the most similar embedding of a vertex of the body, which
    is no part of this network.
    """

    def __init__(self, channels: int, config: DensePoseHead):
        super().__init__(config)
        outputs = {"coarse_segm_lowres": config.coarse_channels, "embed_lowres": config.embedding_channels}
        self.add(channels, outputs)

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        return {"coarse": self.maps("coarse_segm_lowres", x), "embedding": self.maps("embed_lowres", x)}

    def forward(self, x: Tensor) -> DensePoseOutput:
        raise ValueError("this network yields embeddings, not charts; read them with `outputs`")


PREDICTORS = {"charts": ChartPredictor, "embedding": EmbeddingPredictor}
