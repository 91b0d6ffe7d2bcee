//! Lines one pixel wide, of which the last one shows.

/// For every pixel which line shows, 0 for none.
#[derive(Debug, Default)]
pub(super) struct Raster {
    width: usize,
    height: usize,
    lines: Vec<u16>,
}

impl Raster {
    /// Makes room for so many pixels, without lines.
    pub fn reset(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.lines.clear();
        self.lines.resize(width * height, 0);
    }

    pub fn row(&self, y: usize) -> &[u16] {
        &self.lines[y * self.width..][..self.width]
    }

    /// Draws on a pixel.
    #[inline(always)]
    pub fn set(&mut self, x: usize, y: usize, line: u16) {
        if x < self.width
            && let Some(pixel) = self.lines.get_mut(y * self.width + x)
        {
            *pixel = line.max(*pixel);
        }
    }

    fn set_inside(&mut self, [x, y]: [i32; 2], line: u16) {
        if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) {
            self.set(x, y, line);
        }
    }

    /// OpenCV's line of thickness 1: from the left end to the right one, to all eight neighbours.
    pub fn line(&mut self, from: [i32; 2], to: [i32; 2], line: u16) {
        let ([mut x, mut y], [to_x, to_y]) = if to[0] < from[0] { (to, from) } else { (from, to) };
        let (dx, dy) = (to_x - x, (to_y - y).abs());
        let down = (to_y - y).signum();
        let steep = dy > dx;
        let (long, short) = if steep { (dy, dx) } else { (dx, dy) };
        let mut error = long - 2 * short;
        for _ in 0..=long {
            self.set_inside([x, y], line);
            let aside = error < 0;
            error += if aside { 2 * long } else { 0 } - 2 * short;
            if steep || aside {
                y += down;
            }
            if !steep || aside {
                x += 1;
            }
        }
    }
}
