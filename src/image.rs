//! Pictures of any pixel layout, seen as up to three colour components.
//!
//! Packed or planar, RGB or YUV, subsampled or not, 8 bits or more: each component is a grid of samples with a start, a
//! step from pixel to pixel and a stride from row to row. What reads or draws pictures works on components and so knows
//! every layout without naming any.

use std::fmt;

/// Where one colour component lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Index of the plane that holds it.
    pub plane: usize,
    /// Bytes from the start of a row to the first sample.
    pub offset: usize,
    /// Bytes from one sample to the next.
    pub step: usize,
    /// One sample covers `1 << shift_x` pixels across.
    pub shift_x: u32,
    /// One sample covers `1 << shift_y` pixels down.
    pub shift_y: u32,
}

impl Component {
    /// A component with a sample for every pixel.
    pub const fn full(plane: usize, offset: usize, step: usize) -> Self {
        Self { plane, offset, step, shift_x: 0, shift_y: 0 }
    }

    /// Samples across and down in a picture of `width` by `height` pixels.
    pub const fn size(&self, width: usize, height: usize) -> (usize, usize) {
        (width.div_ceil(1 << self.shift_x), height.div_ceil(1 << self.shift_y))
    }
}

/// How a sample is stored: as a byte, or as some bits of a little-endian word of two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    bits: u32,
    shift: u32,
}

impl Depth {
    pub const BYTE: Self = Self { bits: 8, shift: 0 };

    /// Words of which `bits`, 9 to 16, count, with `shift` bits below them; `None` where they do not fit into a word.
    pub const fn word(bits: u32, shift: u32) -> Option<Self> {
        if bits > 8 && bits <= 16 && shift <= 16 - bits { Some(Self { bits, shift }) } else { None }
    }

    /// Bytes of a sample: 1 or 2.
    pub const fn bytes(self) -> usize {
        if self.bits > 8 { 2 } else { 1 }
    }

    /// Bits that samples have beyond those of a byte.
    pub const fn extra_bits(self) -> u32 {
        self.bits - 8
    }

    /// The value of a word.
    #[inline(always)]
    pub const fn value(self, word: [u8; 2]) -> u16 {
        (u16::from_le_bytes(word) >> self.shift) & (u16::MAX >> (16 - self.bits))
    }

    /// A word with another value; bits that do not count stay.
    #[inline(always)]
    pub const fn with_value(self, word: [u8; 2], value: u16) -> [u8; 2] {
        let mask = (u16::MAX >> (16 - self.bits)) << self.shift;
        (u16::from_le_bytes(word) & !mask | (value << self.shift) & mask).to_le_bytes()
    }
}

/// What the components mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColorModel {
    /// Red, green, blue.
    Rgb,
    /// Luma alone.
    Gray,
    /// Luma, blue difference, red difference, with the luma weights of red and blue (ITU-R BT.601: 0.299 and 0.114).
    Yuv { kr: f32, kb: f32 },
}

/// How components turn into colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    pub model: ColorModel,
    /// Values span 0..=255; otherwise 16..=235 (chroma 16..=240).
    pub full_range: bool,
}

impl Color {
    pub const RGB: Self = Self { model: ColorModel::Rgb, full_range: true };
    pub const GRAY: Self = Self { model: ColorModel::Gray, full_range: true };
    /// Standard definition video: BT.601, limited range.
    pub const BT601: Self = Self { model: ColorModel::Yuv { kr: 0.299, kb: 0.114 }, full_range: false };
    /// High definition video: BT.709, limited range.
    pub const BT709: Self = Self { model: ColorModel::Yuv { kr: 0.2126, kb: 0.0722 }, full_range: false };

    /// Number of components: 1 for gray, 3 otherwise.
    pub const fn components(&self) -> usize {
        match self.model {
            ColorModel::Gray => 1,
            _ => 3,
        }
    }

    /// Offset and scale that take stored luma (or R, G, B) to 0..=255.
    const fn luma_range(&self) -> (f32, f32) {
        if self.full_range { (0.0, 1.0) } else { (16.0, 255.0 / 219.0) }
    }

    const fn chroma_scale(&self) -> f32 {
        if self.full_range { 1.0 } else { 255.0 / 224.0 }
    }

    /// Matrix `m` and offset `o` with `rgb = m * components + o`, all in 0..=255 (unclamped); gray fills the first column.
    pub fn to_rgb_matrix(&self) -> ([[f32; 3]; 3], [f32; 3]) {
        let (black, scale) = self.luma_range();
        match self.model {
            ColorModel::Rgb => ([[scale, 0.0, 0.0], [0.0, scale, 0.0], [0.0, 0.0, scale]], [-black * scale; 3]),
            ColorModel::Gray => ([[scale, 0.0, 0.0]; 3], [-black * scale; 3]),
            ColorModel::Yuv { kr, kb } => {
                let kg = 1.0 - kr - kb;
                let c = self.chroma_scale();
                let (rv, bu) = (2.0 * (1.0 - kr) * c, 2.0 * (1.0 - kb) * c);
                let (gu, gv) = (-bu * kb / kg, -rv * kr / kg);
                let luma = -black * scale;
                (
                    [[scale, 0.0, rv], [scale, gu, gv], [scale, bu, 0.0]],
                    [luma - 128.0 * rv, luma - 128.0 * (gu + gv), luma - 128.0 * bu],
                )
            }
        }
    }

    /// Matrix `m` and offset `o` with `components = m * rgb + o`, all in 0..=255 (unclamped); gray fills the first row.
    pub fn from_rgb_matrix(&self) -> ([[f32; 3]; 3], [f32; 3]) {
        let (black, scale) = self.luma_range();
        let luma = |kr: f32, kb: f32| [kr / scale, (1.0 - kr - kb) / scale, kb / scale];
        match self.model {
            ColorModel::Rgb => {
                let s = 1.0 / scale;
                ([[s, 0.0, 0.0], [0.0, s, 0.0], [0.0, 0.0, s]], [black; 3])
            }
            ColorModel::Gray => ([luma(0.299, 0.114), [0.0; 3], [0.0; 3]], [black, 0.0, 0.0]),
            ColorModel::Yuv { kr, kb } => {
                let kg = 1.0 - kr - kb;
                let half = 0.5 / self.chroma_scale();
                let (u, v) = (half / (1.0 - kb), half / (1.0 - kr));
                let chroma = [[-kr * u, -kg * u, half], [half, -kg * v, -kb * v]];
                ([luma(kr, kb), chroma[0], chroma[1]], [black, 128.0, 128.0])
            }
        }
    }

    /// The stored components of an RGB colour; gray uses the first only.
    pub fn from_rgb(&self, rgb: [u8; 3]) -> [u8; 3] {
        let (m, o) = self.from_rgb_matrix();
        let rgb = rgb.map(f32::from);
        std::array::from_fn(|i| {
            let v = m[i][0] * rgb[0] + m[i][1] * rgb[1] + m[i][2] * rgb[2] + o[i];
            v.round().clamp(0.0, 255.0) as u8
        })
    }
}

/// Why a picture cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    #[error("a picture needs at least one pixel, this one is {width}x{height}")]
    Empty { width: usize, height: usize },
    #[error("component {component} lies in plane {plane}, but there are {planes} planes")]
    NoPlane { component: usize, plane: usize, planes: usize },
    #[error("component {component} needs {needed} bytes of plane {plane}, which holds {bytes}")]
    Short { component: usize, plane: usize, needed: usize, bytes: usize },
    #[error("{expected} components expected, {got} given")]
    Components { expected: usize, got: usize },
    #[error("alpha needs a byte for every pixel")]
    Alpha,
    #[error("a crop of {width}x{height} at {x}, {y} reaches out of its picture")]
    Crop { x: usize, y: usize, width: usize, height: usize },
}

/// Size, components and colours of a picture, apart from its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub width: usize,
    pub height: usize,
    pub color: Color,
    pub components: Vec<Component>,
    /// Of all components.
    pub depth: Depth,
    /// Bytes that say how opaque pixels are, one for each.
    pub alpha: Option<Component>,
    /// Width of a pixel divided by its height, as it is shown.
    pub pixel_aspect: f64,
}

impl Layout {
    /// Samples of one byte, without alpha, of square pixels.
    pub fn new(width: usize, height: usize, color: Color, components: impl Into<Vec<Component>>) -> Self {
        let components = components.into();
        Self { width, height, color, components, depth: Depth::BYTE, alpha: None, pixel_aspect: 1.0 }
    }

    /// Packed bytes, `step` per pixel, red, green and blue at the given offsets.
    pub fn packed_rgb(width: usize, height: usize, step: usize, [r, g, b]: [usize; 3]) -> Self {
        Self::new(width, height, Color::RGB, [r, g, b].map(|offset| Component::full(0, offset, step)))
    }

    /// One byte of luma per pixel.
    pub fn gray(width: usize, height: usize) -> Self {
        Self::new(width, height, Color::GRAY, [Component::full(0, 0, 1)])
    }

    /// The part of `width` by `height` pixels from `x`, `y` on, in the same planes, whose rows are `strides` bytes
    /// apart. Where chroma is subsampled and `x` or `y` is odd, the part begins with the chroma sample that the pixel
    /// there shares with its neighbour outside.
    ///
    /// # Errors
    /// Where that reaches out of the picture.
    pub fn cropped(
        mut self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        strides: &[usize],
    ) -> Result<Self, ImageError> {
        let inside = |start: usize, length: usize, limit: usize| start.checked_add(length).is_some_and(|e| e <= limit);
        let fits = inside(x, width, self.width) && inside(y, height, self.height);
        for c in self.components.iter_mut().chain(&mut self.alpha) {
            let down = strides.get(c.plane).and_then(|stride| stride.checked_mul(y >> c.shift_y));
            let across = c.step.checked_mul(x >> c.shift_x);
            let offset = down.zip(across).and_then(|(a, b)| a.checked_add(b)?.checked_add(c.offset));
            c.offset = offset.filter(|_| fits).ok_or(ImageError::Crop { x, y, width, height })?;
        }
        (self.width, self.height) = (width, height);
        Ok(self)
    }

    /// Checks that every sample lies inside its plane (`(bytes, stride)` each).
    fn check(&self, planes: &[(usize, usize)]) -> Result<(), ImageError> {
        let Self { width, height, .. } = *self;
        if width == 0 || height == 0 {
            return Err(ImageError::Empty { width, height });
        }
        let expected = self.color.components();
        if self.components.len() != expected {
            return Err(ImageError::Components { expected, got: self.components.len() });
        }
        if self.alpha.is_some_and(|alpha| (alpha.shift_x, alpha.shift_y) != (0, 0)) {
            return Err(ImageError::Alpha);
        }
        let components = self.components.iter().map(|c| (c, self.depth.bytes()));
        for (component, (c, sample)) in components.chain(self.alpha.iter().map(|c| (c, 1))).enumerate() {
            let Some(&(bytes, stride)) = planes.get(c.plane) else {
                return Err(ImageError::NoPlane { component, plane: c.plane, planes: planes.len() });
            };
            let (w, h) = c.size(width, height);
            let row = ((w - 1).checked_mul(c.step)).and_then(|n| n.checked_add(c.offset)?.checked_add(sample));
            let needed = (h - 1).checked_mul(stride).zip(row).and_then(|(a, b)| a.checked_add(b)).unwrap_or(usize::MAX);
            if needed > bytes {
                return Err(ImageError::Short { component, plane: c.plane, needed, bytes });
            }
        }
        Ok(())
    }
}

/// Bytes of a plane and the distance between its rows.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    pub data: &'a [u8],
    pub stride: usize,
}

/// Bytes of a plane that may be drawn on, and the distance between its rows.
pub struct PlaneMut<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
}

/// A picture to read. Every sample that its layout names is inside its planes.
#[derive(Clone)]
pub struct Image<'a> {
    layout: Layout,
    planes: Vec<Plane<'a>>,
}

impl<'a> Image<'a> {
    /// # Errors
    /// Where the picture is empty or a component reaches past the end of its plane.
    pub fn new(layout: Layout, planes: Vec<Plane<'a>>) -> Result<Self, ImageError> {
        layout.check(&planes.iter().map(|p| (p.data.len(), p.stride)).collect::<Vec<_>>())?;
        Ok(Self { layout, planes })
    }

    /// A picture of packed `R, G, B` bytes, rows without padding.
    pub fn rgb(width: usize, height: usize, data: &'a [u8]) -> Result<Self, ImageError> {
        let layout = Layout::packed_rgb(width, height, 3, [0, 1, 2]);
        Self::new(layout, vec![Plane { data, stride: width.saturating_mul(3) }])
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn width(&self) -> usize {
        self.layout.width
    }

    pub fn height(&self) -> usize {
        self.layout.height
    }

    /// Single pixels as colours.
    pub fn pixels(&self) -> Pixels<'_> {
        let (matrix, offset) = self.layout.color.to_rgb_matrix();
        Pixels { image: self, matrix, offset }
    }

    /// The plane in which component `index` lies.
    pub fn plane_of(&self, index: usize) -> Plane<'a> {
        self.planes[self.layout.components[index].plane]
    }
}

/// The pixels of a picture as red, green and blue, one at a time.
pub struct Pixels<'a> {
    image: &'a Image<'a>,
    matrix: [[f32; 3]; 3],
    offset: [f32; 3],
}

impl Pixels<'_> {
    /// The colour at a column and row; `None` outside of the picture.
    pub fn rgb(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        let Image { layout, planes } = self.image;
        if x >= layout.width || y >= layout.height {
            return None;
        }
        let mut stored = [0.0; 3];
        for (value, c) in stored.iter_mut().zip(&layout.components) {
            let Plane { data, stride } = planes[c.plane];
            let at = (y >> c.shift_y) * stride + c.offset + (x >> c.shift_x) * c.step;
            *value = match layout.depth.bytes() {
                1 => f32::from(data[at]),
                // In the range of a byte, as the matrix wants it.
                _ => {
                    let word = layout.depth.value([data[at], data[at + 1]]);
                    f32::from(word) / (1 << layout.depth.extra_bits()) as f32
                }
            };
        }
        let row = |k: usize| (0..3).map(|j| self.matrix[k][j] * stored[j]).sum::<f32>() + self.offset[k];
        Some(std::array::from_fn(|k| row(k).round().clamp(0.0, 255.0) as u8))
    }
}

/// A picture to draw on. Every sample that its layout names is inside its planes.
pub struct ImageMut<'a> {
    layout: Layout,
    planes: Vec<PlaneMut<'a>>,
}

impl<'a> ImageMut<'a> {
    /// # Errors
    /// Where the picture is empty or a component reaches past the end of its plane.
    pub fn new(layout: Layout, planes: Vec<PlaneMut<'a>>) -> Result<Self, ImageError> {
        layout.check(&planes.iter().map(|p| (p.data.len(), p.stride)).collect::<Vec<_>>())?;
        Ok(Self { layout, planes })
    }

    /// A picture of packed `R, G, B` bytes, rows without padding.
    pub fn rgb(width: usize, height: usize, data: &'a mut [u8]) -> Result<Self, ImageError> {
        let layout = Layout::packed_rgb(width, height, 3, [0, 1, 2]);
        Self::new(layout, vec![PlaneMut { data, stride: width.saturating_mul(3) }])
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn width(&self) -> usize {
        self.layout.width
    }

    pub fn height(&self) -> usize {
        self.layout.height
    }

    /// Bytes of plane `index`, and the distance between its rows.
    pub fn plane_mut(&mut self, index: usize) -> PlaneMut<'_> {
        let plane = &mut self.planes[index];
        PlaneMut { data: plane.data, stride: plane.stride }
    }

    /// Row `y` (in samples) of component `index`: bytes that begin at its first sample, `step` from one to the next.
    pub fn row_mut(&mut self, index: usize, y: usize) -> &mut [u8] {
        self.row_of(self.layout.components[index], self.layout.depth.bytes(), y)
    }

    /// Row `y` of alpha, from its first byte on, and the step from one to the next; `None` where there is no alpha.
    pub fn alpha_row_mut(&mut self, y: usize) -> Option<(&mut [u8], usize)> {
        let alpha = self.layout.alpha?;
        Some((self.row_of(alpha, 1, y), alpha.step))
    }

    fn row_of(&mut self, c: Component, sample: usize, y: usize) -> &mut [u8] {
        let plane = &mut self.planes[c.plane];
        let (w, _) = c.size(self.layout.width, self.layout.height);
        let start = y * plane.stride + c.offset;
        &mut plane.data[start..start + (w - 1) * c.step + sample]
    }
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("layout", &self.layout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_rgb(color: Color, stored: [u8; 3]) -> [f32; 3] {
        let (m, o) = color.to_rgb_matrix();
        std::array::from_fn(|i| o[i] + (0..3).map(|j| m[i][j] * f32::from(stored[j])).sum::<f32>())
    }

    #[test]
    fn colours_survive_the_way_there_and_back() {
        let narrow_rgb = Color { full_range: false, ..Color::RGB };
        let full_yuv = Color { full_range: true, ..Color::BT601 };
        for color in [Color::RGB, narrow_rgb, Color::BT601, Color::BT709, full_yuv] {
            for rgb in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [12, 200, 99]] {
                let back = to_rgb(color, color.from_rgb(rgb));
                for i in 0..3 {
                    assert!((back[i] - f32::from(rgb[i])).abs() < 2.5, "{color:?} {rgb:?} -> {back:?}");
                }
            }
        }
        assert_eq!(Color::BT601.from_rgb([255, 255, 255]), [235, 128, 128]);
        assert_eq!(Color::BT601.from_rgb([255, 0, 0]), [81, 90, 240]);
        assert_eq!(Color::BT709.from_rgb([0, 255, 0]), [173, 42, 26]);
    }

    #[test]
    fn a_last_row_without_padding_is_enough() {
        let layout = || Layout::packed_rgb(3, 2, 4, [0, 1, 2]);
        let ok = |bytes: usize| Image::new(layout(), vec![Plane { data: &vec![0; bytes], stride: 16 }]).is_ok();
        // 16 bytes of the first row, two pixels of four bytes and blue of the third.
        assert!(ok(16 + 8 + 3));
        assert!(!ok(16 + 8 + 2));
    }

    #[test]
    fn odd_sizes_round_subsampled_components_up() {
        let chroma = |plane| Component { plane, offset: 0, step: 1, shift_x: 1, shift_y: 1 };
        let layout = Layout::new(5, 3, Color::BT601, [Component::full(0, 0, 1), chroma(1), chroma(2)]);
        let planes = |chroma: usize| vec![(15, 5), (chroma, 3), (6, 3)];
        assert_eq!(layout.check(&planes(6)), Ok(()));
        assert!(matches!(layout.check(&planes(5)), Err(ImageError::Short { component: 1, .. })));
        assert!(matches!(layout.check(&planes(6)[..2]), Err(ImageError::NoPlane { component: 2, .. })));
    }

    #[test]
    fn pixels_are_colours_whatever_the_layout() {
        let chroma = |plane| Component { plane, offset: 0, step: 1, shift_x: 1, shift_y: 1 };
        let components = vec![Component::full(0, 0, 1), chroma(1), chroma(2)];
        let layout = Layout::new(3, 3, Color::BT601, components);
        // Red in the last column, gray elsewhere.
        let plane = |data: &'static [u8], stride| Plane { data, stride };
        let planes = vec![
            plane(&[126, 126, 81, 126, 126, 81, 126, 126, 81], 3),
            plane(&[128, 90, 128, 90], 2),
            plane(&[128, 240, 128, 240], 2),
        ];
        let image = Image::new(layout, planes).unwrap();
        let pixels = image.pixels();
        assert_eq!(pixels.rgb(0, 2), Some([128; 3]));
        let [r, g, b] = pixels.rgb(2, 2).unwrap();
        assert!(r >= 253 && g <= 2 && b <= 2, "{r} {g} {b}");
        assert_eq!([pixels.rgb(3, 0), pixels.rgb(0, 3)], [None; 2]);
        let gray = [7u8, 9];
        assert_eq!(
            Image::new(Layout::gray(2, 1), vec![Plane { data: &gray, stride: 2 }]).unwrap().pixels().rgb(1, 0),
            Some([9; 3])
        );
    }

    #[test]
    fn nothing_is_no_picture() {
        assert!(matches!(Image::rgb(0, 4, &[]), Err(ImageError::Empty { .. })));
        assert!(Image::rgb(usize::MAX, 4, &[]).is_err());
    }

    #[test]
    fn a_crop_lies_in_the_same_planes() {
        let chroma = |plane| Component { plane, offset: 0, step: 1, shift_x: 1, shift_y: 1 };
        let layout = Layout::new(10, 8, Color::BT601, [Component::full(0, 0, 1), chroma(1), chroma(2)]);
        let cropped = layout.clone().cropped((4, 2), (5, 3), &[10, 5, 5]).unwrap();
        assert_eq!((cropped.width, cropped.height), (5, 3));
        assert_eq!([0, 1, 2].map(|i| cropped.components[i].offset), [24, 7, 7]);
        assert_eq!(cropped.check(&[(80, 10), (20, 5), (20, 5)]), Ok(()));
        for (corner, size) in [((4, 2), (7, 3)), ((4, 6), (5, 3)), ((usize::MAX, 0), (2, 2))] {
            let cropped = layout.clone().cropped(corner, size, &[10, 5, 5]);
            assert!(matches!(cropped, Err(ImageError::Crop { .. })), "{corner:?} {size:?}");
        }
    }

    #[test]
    fn words_hold_the_bits_that_count() {
        let (low, high) = (Depth::word(10, 0).unwrap(), Depth::word(10, 6).unwrap());
        assert_eq!((low.value([0xff, 0x03]), high.value([0xc0, 0xff])), (1023, 1023));
        assert_eq!((low.value([0x01, 0xfe]), high.value([0x7f, 0x00])), (513, 1));
        assert_eq!((low.with_value([1, 0xf0], 513), high.with_value([0x3f, 0], 513)), ([1, 0xf2], [0x7f, 0x80]));
        assert_eq!([Depth::word(8, 0), Depth::word(10, 7), Depth::word(17, 0)], [None; 3]);
    }
}
