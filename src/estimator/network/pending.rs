//! What the lowering has recognised but not yet put into the graph.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;

use crate::kernels::Clamp;
use crate::kernels::depthwise;
use crate::layers::{
    Bottleneck, Convolution, Enlargement, Layer, MOST_ROWS, Pointwise, Precision, Projection, Size, Sum, Term,
    Transposed, Window,
};

/// A layer to be, which may yet grow.
pub enum Pending {
    Dense(Dense),
    Depthwise(Depthwise),
    Enlarging(Enlarging),
    Sum(Summands),
    /// The source's node, as it is.
    Kept(usize),
}

impl Pending {
    /// Bounds of the result.
    pub fn clamp(&mut self) -> Option<&mut Clamp> {
        match self {
            Self::Dense(dense) => Some(&mut dense.clamp),
            Self::Depthwise(depthwise) => Some(&mut depthwise.clamp),
            Self::Enlarging(enlarging) => Some(&mut enlarging.clamp),
            Self::Sum(sum) => Some(&mut sum.clamp),
            Self::Kept(_) => None,
        }
    }
}

/// Rows and columns.
type Windows = (Window, Window);

/// A dense convolution.
pub struct Dense {
    pub input: OutletId,
    pub size: Size,
    pub output: Size,
    windows: Windows,
    /// (outputs, inputs, rows, columns)
    kernel: Arc<Tensor>,
    bias: Arc<Tensor>,
    clamp: Clamp,
    /// Added before the bounds.
    pub added: Option<OutletId>,
    /// Whether its result has just the axes (items, channels).
    pub flat: bool,
    precision: Precision,
}

impl Dense {
    pub fn new(
        input: OutletId,
        size: Size,
        output: Size,
        windows: Windows,
        kernel: Arc<Tensor>,
        bias: Arc<Tensor>,
    ) -> Self {
        let (clamp, precision) = (Clamp::NONE, Precision::Float);
        Self { input, size, output, windows, kernel, bias, clamp, added: None, flat: false, precision }
    }

    /// In this precision, where its kernel has one pixel.
    pub fn computed_in(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    pub fn is_pointwise(&self) -> bool {
        self.windows == (Window::POINT, Window::POINT)
    }

    /// Whether nothing has been joined to it.
    pub fn is_bare(&self) -> bool {
        self.added.is_none() && self.clamp == Clamp::NONE
    }

    /// Whether something can be added to its result.
    pub fn can_add(&self) -> bool {
        self.is_bare() && !self.flat && Convolution::can_add(self.size, self.output, self.windows)
    }

    /// With a result that has just the axes (items, channels).
    pub fn flattened(self) -> Self {
        Self { flat: true, ..self }
    }

    pub fn adding(self, other: OutletId) -> Self {
        Self { added: Some(other), ..self }
    }

    pub fn with_bias(self, bias: Arc<Tensor>) -> Self {
        Self { bias, ..self }
    }

    pub fn layer(&self) -> TractResult<Arc<dyn Layer>> {
        let (kernel, bias) = (numbers(&self.kernel)?, numbers(&self.bias)?);
        let (height, width) = (self.windows.0.kernel, self.windows.1.kernel);
        let channels = self.size.channels;
        let weight = |y: usize, x: usize, i: usize, o: usize| kernel[((o * channels + i) * height + y) * width + x];
        let layer = Convolution::new(self.precision, (self.size, self.output), self.windows, weight, |o| bias[o]);
        let layer = layer.bounded(self.clamp);
        Ok(Arc::new(if self.added.is_some() { layer.adding() } else { layer }))
    }

    fn projection(&self, then: &[Dense]) -> TractResult<Projection> {
        let then = then.iter().map(Dense::pointwise).collect::<TractResult<_>>()?;
        Ok(Projection { pointwise: self.pointwise()?, adds: self.added.is_some(), then })
    }

    /// As a part of a bottleneck.
    fn pointwise(&self) -> TractResult<Pointwise> {
        let (kernel, bias) = (numbers(&self.kernel)?, numbers(&self.bias)?);
        let (depth, columns) = (self.size.channels, self.output.channels);
        let weight = |i: usize, o: usize| kernel[o * depth + i];
        Ok(Pointwise::new(self.precision, (depth, columns), weight, |o| bias[o]).bounded(self.clamp))
    }
}

/// A depthwise convolution.
pub struct Depthwise {
    pub input: OutletId,
    pub size: Size,
    pub output: Size,
    pub windows: Windows,
    /// (channels, 1, rows, columns)
    pub kernel: Arc<Tensor>,
    pub bias: Arc<Tensor>,
    pub clamp: Clamp,
}

impl Depthwise {
    /// Whether there is a layer for these windows.
    pub fn fits(rows: Window, columns: Window) -> bool {
        rows.kernel <= MOST_ROWS && columns.stride > 0 && rows.stride > 0
    }

    /// With the pointwise convolutions before and after it.
    pub fn layer(&self, expand: Option<Dense>, project: &[(Dense, Vec<Dense>)]) -> TractResult<Arc<dyn Layer>> {
        let (kernel, bias) = (numbers(&self.kernel)?, numbers(&self.bias)?);
        let (rows, columns) = self.windows;
        let (height, width) = (rows.kernel, columns.kernel);
        let depthwise = depthwise::Depthwise::pack(
            (height, width),
            columns.stride,
            columns.dilation,
            self.size.channels,
            |y, x, channel| kernel[(channel * height + y) * width + x],
            |channel| bias[channel],
        );
        Ok(Arc::new(Bottleneck {
            input: expand.as_ref().map_or(self.size, |expand| expand.size),
            size: (self.output.rows, self.output.columns),
            expand: expand.map(|expand| expand.pointwise()).transpose()?,
            depthwise: (depthwise, self.clamp),
            rows,
            left: columns.before,
            project: project.iter().map(|(dense, then)| dense.projection(then)).collect::<TractResult<_>>()?,
        }))
    }
}

/// A transposed convolution.
pub struct Enlarging {
    pub input: OutletId,
    pub size: Size,
    pub output: Size,
    pub axes: (Enlargement, Enlargement),
    /// (outputs, inputs, rows, columns)
    pub kernel: Arc<Tensor>,
    pub bias: Arc<Tensor>,
    pub clamp: Clamp,
}

impl Enlarging {
    /// Whether another one sees the same in the same way.
    pub fn goes_with(&self, other: &Self) -> bool {
        let seen = |e: &Self| (e.input, e.size, e.output.rows, e.output.columns, e.axes);
        seen(self) == seen(other) && self.clamp == other.clamp
    }

    /// A layer for several that go together.
    pub fn layer(all: &[Self]) -> TractResult<Arc<dyn Layer>> {
        let first = all.first().ok_or_else(|| format_err!("no transposed convolution"))?;
        let (height, width) = (first.axes.0.kernel, first.axes.1.kernel);
        let channels = first.size.channels;
        // Of all, one after the other.
        let mut kernel = Vec::new();
        let mut bias = Vec::new();
        for enlarging in all {
            kernel.extend_from_slice(numbers(&enlarging.kernel)?);
            bias.extend_from_slice(numbers(&enlarging.bias)?);
        }
        let weight = |y: usize, x: usize, i: usize, o: usize| kernel[((o * channels + i) * height + y) * width + x];
        let results: Vec<usize> = all.iter().map(|enlarging| enlarging.output.channels).collect();
        let size = (first.output.rows, first.output.columns);
        let layer = Transposed::new(first.size, (size, &results), first.axes, weight, |o| bias[o]);
        Ok(Arc::new(layer.bounded(first.clamp)))
    }
}

/// A weighted sum of pictures.
pub struct Summands {
    pub size: Size,
    pub terms: Vec<(OutletId, Term)>,
    pub clamp: Clamp,
}

impl Summands {
    /// A single one, as it is.
    pub fn of(value: OutletId, size: Size) -> Self {
        Self { size, terms: vec![(value, Term { weight: 1.0, enlarged: 1 })], clamp: Clamp::NONE }
    }

    pub fn into_layer(self) -> Arc<dyn Layer> {
        let terms = self.terms.into_iter().map(|(_, term)| term).collect();
        Arc::new(Sum { output: self.size, terms, clamp: self.clamp })
    }
}

fn numbers(tensor: &Tensor) -> TractResult<&[f32]> {
    tensor.try_as_plain_ram()?.as_slice::<f32>()
}
