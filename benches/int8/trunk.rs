//! The convolutions of the default network's trunk (`models/default/trunk.onnx`: EfficientNet-Lite0, BiFPN with 64
//! channels, RPN) at 256x480.

/// An inverted bottleneck: rows and columns of the input, its channels, those of the widened picture (0: not widened),
/// kernel, stride, channels of the result (0: none), times.
type Bottleneck = (usize, usize, usize, usize, usize, usize, usize, usize);

/// Where the pyramid takes the depthwise layer's result, too, the layer after it is listed under [`POINTWISE`].
const BLOCKS: [Bottleneck; 26] = [
    (128, 240, 32, 0, 3, 1, 16, 1),
    (128, 240, 16, 96, 3, 2, 24, 1),
    (64, 120, 24, 144, 3, 1, 0, 1),
    (64, 120, 24, 144, 5, 2, 40, 1),
    (32, 60, 40, 240, 5, 1, 0, 1),
    (32, 60, 40, 240, 3, 2, 80, 1),
    (16, 30, 80, 480, 3, 1, 80, 2),
    (16, 30, 80, 480, 5, 1, 112, 1),
    (16, 30, 112, 672, 5, 1, 112, 1),
    (16, 30, 112, 672, 5, 1, 0, 1),
    (16, 30, 112, 672, 5, 2, 192, 1),
    (8, 15, 192, 1152, 5, 1, 192, 3),
    (8, 15, 192, 1152, 3, 1, 0, 1),
    // BiFPN, downwards and upwards.
    (16, 30, 64, 0, 3, 1, 64, 1),
    (32, 60, 64, 0, 3, 1, 64, 1),
    (64, 120, 64, 0, 3, 1, 64, 1),
    (64, 120, 64, 0, 3, 2, 64, 1),
    (32, 60, 64, 0, 3, 1, 64, 1),
    (32, 60, 64, 0, 3, 2, 64, 1),
    (16, 30, 64, 0, 3, 1, 64, 1),
    (16, 30, 64, 0, 3, 2, 64, 1),
    (8, 15, 64, 0, 3, 1, 64, 1),
    // RPN.
    (64, 120, 64, 0, 3, 1, 64, 1),
    (32, 60, 64, 0, 3, 1, 64, 1),
    (16, 30, 64, 0, 3, 1, 64, 1),
    (8, 15, 64, 0, 3, 1, 64, 1),
];

/// Rows, columns, channels in and out.
const POINTWISE: [(usize, usize, usize, usize); 11] = [
    (64, 120, 144, 24),
    (64, 120, 144, 64),
    (32, 60, 240, 40),
    (32, 60, 240, 64),
    (16, 30, 672, 112),
    (16, 30, 672, 64),
    (8, 15, 1152, 64),
    // RPN: objectness and deltas.
    (64, 120, 64, 15),
    (32, 60, 64, 15),
    (16, 30, 64, 15),
    (8, 15, 64, 15),
];

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape {
    /// Dense 3x3, stride 2, of a picture.
    Stem {
        channels: usize,
    },
    Pointwise {
        depth: usize,
        columns: usize,
    },
    Depthwise {
        channels: usize,
        kernel: usize,
        stride: usize,
    },
}

/// A convolution, `count` times in the network.
#[derive(Clone, Copy)]
pub struct Layer {
    pub shape: Shape,
    /// Of the result.
    pub rows: usize,
    pub columns: usize,
    block: Option<Block>,
    /// Whether the input and the result lie between layers of the block.
    within: (bool, bool),
    pub count: usize,
}

/// An inverted bottleneck, which is computed in bands of lines so that the widened picture stays in the cache.
#[derive(Clone, Copy, PartialEq)]
struct Block {
    /// Lines of its result.
    rows: usize,
    /// Numbers in a line before and after the depthwise layer.
    wide: usize,
    narrow: usize,
    kernel: usize,
    stride: usize,
    weights: usize,
}

/// Lines that are computed together.
pub struct Band {
    /// Of the result in the picture.
    pub first: usize,
    pub count: usize,
    /// The line of memory where the band's input starts; `None`: the whole picture is there (with a depthwise layer's
    /// padding around it).
    pub input: Option<usize>,
    /// The line of memory where its result starts.
    pub output: usize,
}

impl Layer {
    fn new(shape: Shape, rows: usize, columns: usize) -> Self {
        Self { shape, rows, columns, block: None, within: (false, false), count: 1 }
    }

    pub fn multiplications(&self) -> usize {
        self.rows
            * self.columns
            * match self.shape {
                Shape::Stem { channels } => 27 * channels,
                Shape::Pointwise { depth, columns } => depth * columns,
                Shape::Depthwise { channels, kernel, .. } => kernel * kernel * channels,
            }
    }

    /// The bands of a picture, where `cached` numbers stay in the cache, as `src/layers/bottleneck.rs` makes them.
    pub fn bands(&self, cached: usize) -> Vec<Band> {
        let whole = [(0, self.rows)].to_vec();
        let (lines, within) = match self.block {
            None => (whole, (false, false)),
            Some(Block { rows, wide, narrow, kernel, stride, weights }) => {
                let fits = |lines: usize| ((lines - 1) * stride + kernel) * wide + lines * narrow;
                let step = (1..rows)
                    .take_while(|&step| fits(step + 1) <= cached.max(weights))
                    .last()
                    .map_or(1, |step| step + 1);
                let lines = if self.rows == rows { step } else { step * stride };
                let bands = (0..self.rows).step_by(lines).map(|first| (first, lines.min(self.rows - first)));
                (bands.collect(), if step < rows { self.within } else { (false, false) })
            }
        };
        let band = |(first, count)| Band {
            first,
            count,
            input: within.0.then_some(0),
            output: if within.1 { 0 } else { first },
        };
        lines.into_iter().map(band).collect()
    }
}

/// All of them, equal ones once.
pub fn layers() -> Vec<Layer> {
    let mut all = vec![Layer::new(Shape::Stem { channels: 32 }, 128, 240)];
    for (rows, columns, channels, widened, kernel, stride, results, count) in BLOCKS {
        let width = if widened > 0 { widened } else { channels };
        let (out_rows, out_columns) = (rows / stride, columns / stride);
        let block = Some(Block {
            rows: out_rows,
            wide: columns * width,
            narrow: out_columns * width,
            kernel,
            stride,
            weights: channels * widened + width * results,
        });
        let mut add =
            |shape, rows, columns, within| all.push(Layer { block, within, count, ..Layer::new(shape, rows, columns) });
        if widened > 0 {
            add(Shape::Pointwise { depth: channels, columns: widened }, rows, columns, (false, true));
        }
        let within = (widened > 0, results > 0);
        add(Shape::Depthwise { channels: width, kernel, stride }, out_rows, out_columns, within);
        if results > 0 {
            add(Shape::Pointwise { depth: width, columns: results }, out_rows, out_columns, (true, false));
        }
    }
    all.extend(POINTWISE.map(|(rows, columns, depth, results)| {
        Layer::new(Shape::Pointwise { depth, columns: results }, rows, columns)
    }));
    let key = |layer: &Layer| (layer.shape, layer.rows, layer.columns, layer.block, layer.within);
    let mut once: Vec<Layer> = Vec::new();
    for layer in all {
        match once.iter_mut().find(|other| key(other) == key(&layer)) {
            Some(other) => other.count += layer.count,
            None => once.push(layer),
        }
    }
    once
}
