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
    """Features -> `DensePoseOutput`."""

    def __init__(self, channels: int, config: DensePoseHead):
        super().__init__(config)
        charts = config.parts + 1
        outputs = {"ann_index_lowres": config.coarse_channels, "index_uv_lowres": charts}
        self.add(channels, {**outputs, "u_lowres": charts, "v_lowres": charts})

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        """All maps by name: those of `DensePoseOutput`, in its order, and whatever else there is."""
        names = ("ann_index_lowres", "index_uv_lowres", "u_lowres", "v_lowres")
        return {key: self.maps(name, x) for key, name in zip(DensePoseOutput._fields, names)}

    def forward(self, x: Tensor) -> DensePoseOutput:
        outputs = self.outputs(x)
        return DensePoseOutput(*(outputs[name] for name in DensePoseOutput._fields))


class ConfidencePredictor(ChartPredictor):
    """Charts with confidences (Neverova et al. 2019, "indep_aniso"; Sanakoyeu et al. 2020), which scale the logits.

    Beside the charts it puts out `sigma_2`, `kappa_u` and `kappa_v` (of U and V, as the layers say them) and
    `coarse_confidence` and `fine_confidence` (of the segmentations, above 0).
    """

    def __init__(self, channels: int, config: DensePoseHead):
        super().__init__(channels, config)
        charts = config.parts + 1
        outputs = {"sigma_2_lowres": charts, "kappa_u_lowres": charts, "kappa_v_lowres": charts}
        self.add(channels, {**outputs, "fine_segm_confidence_lowres": 1, "coarse_segm_confidence_lowres": 1})

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        outputs = super().outputs(x)
        outputs |= {name: self.maps(f"{name}_lowres", x) for name in ("sigma_2", "kappa_u", "kappa_v")}
        for name in ("coarse", "fine"):
            confidence = F.softplus(self.maps(f"{name}_segm_confidence_lowres", x)) + CONFIDENCE_EPSILON
            outputs[name] = outputs[name] * confidence
            outputs[f"{name}_confidence"] = confidence
        return outputs


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


PREDICTORS = {
    "charts": ChartPredictor,
    "charts_with_confidence": ConfidencePredictor,
    "embedding": EmbeddingPredictor,
}
