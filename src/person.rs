//! What the estimator finds and everything after it passes on: people, each with a map of the body surface.

/// Body part of every pixel of a box, and where on the part's chart the pixel lies.
///
/// `height * width` pixels of three interleaved bytes `I, U, V`, rows top to bottom without padding.
/// `I` is 0 for background and 1..=24 for the DensePose parts; `U` and `V` are chart coordinates times 255,
/// meaningful only where `I` is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IuvMap {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

/// Largest part index; 0 is background.
pub const PARTS: u8 = 24;

/// Most pixels that readers take for the maps of one frame together: two frames of 8K, wholly covered.
pub const MAX_PIXELS: usize = 1 << 26;
/// The same in frames of the size that the data names: people overlap, but not all over the picture.
pub const MAX_FRAMES: usize = 8;

/// Most pixels that readers take for the maps of a frame of `width` by `height` pixels.
pub(crate) fn most_pixels(width: u32, height: u32) -> usize {
    let frame = u64::from(width) * u64::from(height);
    usize::try_from(frame.saturating_mul(MAX_FRAMES as u64)).unwrap_or(usize::MAX).min(MAX_PIXELS)
}

/// The bytes handed to [`IuvMap::new`] are not `width * height * 3`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an IUV map of {width}x{height} needs {width} * {height} * 3 bytes, got {bytes}")]
pub struct IuvSizeError {
    pub width: usize,
    pub height: usize,
    pub bytes: usize,
}

impl IuvMap {
    /// Wraps `data` (`height * width * 3` bytes, interleaved I, U, V).
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Result<Self, IuvSizeError> {
        let bytes = data.len();
        match width.checked_mul(height).and_then(|n| n.checked_mul(3)) {
            Some(n) if n == bytes => Ok(Self { width, height, data }),
            _ => Err(IuvSizeError { width, height, bytes }),
        }
    }

    /// A map of background only.
    pub fn background(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0; width * height * 3] }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels, interleaved I, U, V.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// `[I, U, V]` at column `x`, row `y`.
    ///
    /// # Panics
    /// Where the position is outside the map.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        assert!(x < self.width && y < self.height, "({x}, {y}) is outside a {}x{} map", self.width, self.height);
        let i = (y * self.width + x) * 3;
        [self.data[i], self.data[i + 1], self.data[i + 2]]
    }

    /// Row `y` as `width * 3` bytes.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.width * 3..][..self.width * 3]
    }

    /// The map at another size, nearest neighbour: mixing part indices would invent body parts.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        if self.width == 0 || self.height == 0 {
            return Self::background(width, height);
        }
        let columns: Vec<usize> = (0..width).map(|x| nearest(x, width, self.width) * 3).collect();
        let mut data = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let row = self.row(nearest(y, height, self.height));
            for &c in &columns {
                data.extend_from_slice(&row[c..c + 3]);
            }
        }
        Self { width, height, data }
    }
}

/// Source index whose cell holds the centre of destination cell `i`.
fn nearest(i: usize, destination: usize, source: usize) -> usize {
    ((2 * i + 1) * source / (2 * destination)).min(source - 1)
}

/// One person in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Stays the same from frame to frame for as long as the person is followed, see [`track`](crate::track).
    pub id: u32,
    /// Confidence that this is a person, 0..=1: the detector's, less where the model doubts people with uncertain maps.
    pub score: f32,
    /// Left edge of the box, in pixels of the frame; may lie outside after a crop.
    pub x: i32,
    /// Top edge of the box, in pixels of the frame.
    pub y: i32,
    /// Body surface map; its size is the box's size.
    pub iuv: IuvMap,
}

impl Person {
    pub fn width(&self) -> usize {
        self.iuv.width()
    }

    pub fn height(&self) -> usize {
        self.iuv.height()
    }
}

/// The people of a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Persons {
    /// Width in pixels of the frame that the boxes refer to.
    pub width: u32,
    /// Height in pixels of the frame that the boxes refer to.
    pub height: u32,
    /// Frames since the inference that found them; 0 = found in this very frame.
    pub age: u32,
    /// They were moved with the picture since that inference, see [`motion`](crate::motion).
    pub moved: bool,
    /// Best score first.
    pub persons: Vec<Person>,
}

impl Persons {
    /// The same people in a part of the frame, of `width` by `height` pixels from `x`, `y` on: boxes are moved, not cut.
    pub fn moved_into(mut self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let moved = |at: i32, by: u32| i32::try_from(i64::from(at) - i64::from(by)).unwrap_or(i32::MIN);
        for person in &mut self.persons {
            (person.x, person.y) = (moved(person.x, x), moved(person.y, y));
        }
        Self { width, height, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_knows_its_size() {
        assert!(IuvMap::new(2, 3, vec![0; 18]).is_ok());
        assert_eq!(IuvMap::new(2, 3, vec![0; 17]).unwrap_err().bytes, 17);
        assert!(IuvMap::new(usize::MAX, 2, vec![]).is_err());
    }

    #[test]
    fn resizing_repeats_labels_and_mixes_none() {
        let map = IuvMap::new(2, 1, vec![3, 10, 20, 9, 200, 100]).unwrap();
        let big = map.resized(4, 2);
        assert_eq!((big.width(), big.height()), (4, 2));
        for y in 0..2 {
            assert_eq!([0, 1, 2, 3].map(|x| big.pixel(x, y)[0]), [3, 3, 9, 9]);
        }
        assert_eq!(big.resized(2, 1), map);
        assert_eq!(map.resized(0, 5).data().len(), 0);
        assert_eq!(IuvMap::background(0, 0).resized(2, 2), IuvMap::background(2, 2));
    }
}
