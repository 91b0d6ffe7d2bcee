//! Sums of bytes times weights along rows of pixels.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::filter::{Filter, PAIR, Resize, round};

/// Most bytes of a pixel.
pub const PIXEL: usize = 4;
/// Rows filtered at once.
pub const ROWS: usize = 4;

/// Bytes after the last one that a result's row means.
const SLACK: usize = 16;

/// Filters rows of pixels along themselves.
pub struct Across {
    filter: Filter,
    /// From pixel to pixel of the source: 3 or [`PIXEL`].
    step: usize,
    /// Which bytes of the source's pixels make those of the result's: three or [`PIXEL`].
    lanes: Vec<usize>,
    #[cfg(target_arch = "x86_64")]
    blocks: Option<avx512::Blocks>,
}

impl Across {
    /// From pixels of `step` bytes, 3 or [`PIXEL`], to pixels of those at `lanes`.
    pub fn new(resize: Resize, step: usize, lanes: &[usize]) -> Self {
        let filter = Filter::new(resize);
        Self {
            #[cfg(target_arch = "x86_64")]
            blocks: avx512::Blocks::new(&filter, step, lanes),
            filter,
            step,
            lanes: lanes.to_vec(),
        }
    }

    /// Pixels of the result.
    pub fn wanted(&self) -> usize {
        self.filter.resize.wanted
    }

    /// Pixels of the source that may be read, whether they count or not.
    pub fn reach(&self) -> usize {
        self.filter.reach()
    }

    /// Bytes of a row that may be read.
    pub fn needed(&self) -> usize {
        let needed = (self.filter.reach() - PAIR) * self.step + AT_ONCE;
        #[cfg(target_arch = "x86_64")]
        let needed = self.blocks.as_ref().map_or(0, avx512::Blocks::needed).max(needed);
        needed
    }

    /// Bytes of a row of the result, of which the last ones mean nothing.
    pub fn stride(&self) -> usize {
        self.wanted() * self.lanes.len() + SLACK
    }

    /// Filters `rows` to those in `out`. The next ones, `ahead` bytes after these, may already be fetched from memory.
    ///
    /// # Panics
    /// Where a row has fewer bytes than [`needed`](Self::needed) or [`stride`](Self::stride) say.
    pub fn mix(&self, rows: [&[u8]; ROWS], ahead: usize, out: [&mut [u8]; ROWS]) {
        assert!(rows.iter().all(|row| row.len() >= self.needed()), "a row is too short");
        assert!(out.iter().all(|row| row.len() >= self.stride()), "a row of the result is too short");
        #[cfg(target_arch = "x86_64")]
        if let Some(blocks) = &self.blocks {
            // SAFETY: the processor has the features, or there would be no blocks; the rows have what is read of them.
            return unsafe { blocks.mix(rows, ahead, out) };
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return self.mix_avx2(rows, out);
        }
        self.mix_portable(rows, out);
    }

    #[cfg(target_arch = "x86_64")]
    fn mix_avx2(&self, rows: [&[u8]; ROWS], out: [&mut [u8]; ROWS]) {
        // SAFETY: the caller asked for the feature, and the rows have what is read of them.
        unsafe {
            match self.step {
                3 => avx2::mix::<3>(rows, &self.filter, &self.lanes, out),
                _ => avx2::mix::<PIXEL>(rows, &self.filter, &self.lanes, out),
            }
        }
    }

    fn mix_portable(&self, rows: [&[u8]; ROWS], out: [&mut [u8]; ROWS]) {
        for (row, out) in rows.into_iter().zip(out) {
            match self.step {
                3 => self.mix_row::<3>(row, out),
                _ => self.mix_row::<PIXEL>(row, out),
            }
        }
    }

    fn mix_row<const STEP: usize>(&self, row: &[u8], out: &mut [u8]) {
        for (out, (start, weights)) in out.chunks_exact_mut(self.lanes.len()).zip(self.filter.results()) {
            let mut sums = [0; PIXEL];
            let mut at = start * STEP;
            for weights in weights.as_chunks::<PAIR>().0 {
                let Some(pixels) = row[at..].first_chunk::<{ PAIR * PIXEL }>() else { break };
                for (t, weight) in weights.iter().enumerate() {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum += weight * i32::from(pixels[t * STEP + i]);
                    }
                }
                at += PAIR * STEP;
            }
            for (out, &lane) in out.iter_mut().zip(&self.lanes) {
                *out = round(sums[lane]);
            }
        }
    }
}

/// Bytes read at once: those of four pixels, or of two where no more are left.
const AT_ONCE: usize = 4 * PIXEL;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_filters_pixels_alike() {
        type Mix<'a> = &'a dyn Fn(&Across, [&[u8]; ROWS], [&mut [u8]; ROWS]);
        let sizes = [(1, 1), (1, 7), (9, 4), (40, 13), (64, 63), (100, 230), (101, 33), (300, 71), (300, 2)];
        let pixels: [(usize, &[usize]); 5] =
            [(3, &[0, 1, 2]), (3, &[2, 1, 0]), (PIXEL, &[0, 1, 2, 3]), (PIXEL, &[2, 1, 0]), (PIXEL, &[1, 2, 3])];
        let mut in_blocks = 0;
        for (samples, wanted) in sizes {
            for (step, lanes) in pixels {
                let across = Across::new(Resize::new(samples, 0, wanted), step, lanes);
                let length = across.needed();
                let data: Vec<u8> = (0..ROWS * length).map(|i| (i * i * 31 % 257) as u8).collect();
                let rows = std::array::from_fn(|i| &data[i * length..][..length]);
                let by = |mix: Mix| {
                    let mut out = [(); ROWS].map(|()| vec![0; across.stride()]);
                    mix(&across, rows, out.each_mut().map(|row| &mut row[..]));
                    out.map(|row| row[..wanted * lanes.len()].to_vec())
                };
                let portable = by(&Across::mix_portable);
                assert_eq!(
                    by(&|across, rows, out| across.mix(rows, length, out)),
                    portable,
                    "{samples} to {wanted}, {step} {lanes:?}"
                );
                #[cfg(target_arch = "x86_64")]
                if std::arch::is_x86_feature_detected!("avx2") {
                    assert_eq!(by(&Across::mix_avx2), portable, "{samples} to {wanted}, {step} {lanes:?} by AVX2");
                    in_blocks += usize::from(across.blocks.is_some());
                }
            }
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(in_blocks > 0, avx512::is_available());
    }
}
