//! Sums of bytes times weights along columns.

use super::filter::{CutPair, PAIR, cut, round};
use crate::simd::vectorised;

/// Rows of bytes, in pairs, whose weighted sum is a row of the result.
#[derive(Default)]
pub struct Rows(Vec<Pair>);

struct Pair {
    /// Where they begin.
    starts: [usize; PAIR],
    weights: [i32; PAIR],
    cut: CutPair,
}

impl Rows {
    /// Makes them those that begin at `starts`, with these weights.
    pub fn set(&mut self, mut starts: impl Iterator<Item = usize>, weights: &[i32]) {
        self.0.clear();
        for weights in weights.chunks(PAIR) {
            let Some(start) = starts.next() else { break };
            // The last one of an odd number goes with itself, for nothing.
            let (starts, weights) = match *weights {
                [a, b] => ([start, starts.next().unwrap_or(start)], [a, b]),
                _ => ([start; PAIR], [weights[0], 0]),
            };
            self.0.push(Pair { starts, weights, cut: cut(&weights) });
        }
    }

    /// Sums what `data` has there to `out`.
    ///
    /// # Panics
    /// Where a row ends after the data.
    pub fn mix(&self, data: &[u8], out: &mut [u8]) {
        let ends = self.0.iter().flat_map(|pair| pair.starts).map(|start| start + out.len());
        assert!(ends.max().is_none_or(|end| end <= data.len()), "rows end after the data");
        #[cfg(target_arch = "x86_64")]
        if out.len() >= avx512::WIDTH && avx512::is_available() {
            // SAFETY: the processor has the features, and the rows are as long as the result, which is long enough.
            return unsafe { avx512::mix(data, &self.0, out) };
        }
        mix(data, &self.0, out);
    }
}

vectorised! {
    fn mix(data: &[u8], pairs: &[Pair], out: &mut [u8]) {
        const WIDTH: usize = 32;
        for (i, out) in out.chunks_mut(WIDTH).enumerate() {
            let mut sums = [0; WIDTH];
            for Pair { starts, weights, .. } in pairs {
                for (start, weight) in starts.iter().zip(weights) {
                    let samples = &data[start + i * WIDTH..][..out.len()];
                    match samples.as_array::<WIDTH>() {
                        Some(samples) => (0..WIDTH).for_each(|j| sums[j] += weight * i32::from(samples[j])),
                        None => sums.iter_mut().zip(samples).for_each(|(sum, s)| *sum += weight * i32::from(*s)),
                    }
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = round(sum);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::super::filter::{HALF, LOW_BITS, PRECISION};
    use super::Pair;

    /// Bytes made at once.
    pub const WIDTH: usize = 32;

    /// Whether the processor has the instructions.
    pub fn is_available() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni")
    }

    /// # Safety
    /// The processor must have the instructions; `out` has [`WIDTH`] bytes or more, and `data` has as many from each
    /// start on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub unsafe fn mix(data: &[u8], pairs: &[Pair], out: &mut [u8]) {
        for i in 0..out.len().div_ceil(WIDTH) {
            // The last bytes are made with some of those before.
            let at = (i * WIDTH).min(out.len() - WIDTH);
            let (mut high, mut low) = ([_mm512_setzero_si512(); 2], [_mm512_set1_epi32(HALF); 2]);
            for Pair { starts, cut, .. } in pairs {
                // SAFETY: `at` and so many bytes are within the result, so within rows as long as it.
                let [a, b] = starts.map(|start| unsafe { _mm256_loadu_si256(data.as_ptr().add(start + at).cast()) });
                let [upper, lower] = cut.map(|pair| _mm512_set1_epi32(pair));
                let samples = [_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)];
                for (samples, (high, low)) in samples.into_iter().zip(high.iter_mut().zip(&mut low)) {
                    let samples = _mm512_cvtepu8_epi16(samples);
                    *high = _mm512_dpwssd_epi32(*high, samples, upper);
                    *low = _mm512_dpwssd_epi32(*low, samples, lower);
                }
            }
            let mut halves = [_mm_setzero_si128(); 2];
            for (half, (high, low)) in halves.iter_mut().zip(high.into_iter().zip(low)) {
                let sum = _mm512_add_epi32(_mm512_slli_epi32(high, LOW_BITS), low);
                *half = _mm512_cvtusepi32_epi8(_mm512_srai_epi32(sum, PRECISION));
            }
            let [a, b] = halves;
            let out = &mut out[at..][..WIDTH];
            // SAFETY: so many bytes.
            unsafe {
                _mm_storeu_si128(out.as_mut_ptr().cast(), _mm_unpacklo_epi64(a, b));
                _mm_storeu_si128(out.as_mut_ptr().add(WIDTH / 2).cast(), _mm_unpackhi_epi64(a, b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_as_the_definition_says() {
        let data: Vec<u8> = (0..3000_usize).map(|i| (i * i * 37 % 259) as u8).collect();
        for (count, length) in [(1, 1), (1, 70), (2, 32), (3, 31), (4, 33), (7, 100), (12, 64)] {
            let starts = (0..count).map(|i| (i * 211 + 5) % 1000);
            // The weights of a filter sum up to one.
            let weights: Vec<i32> =
                (1..=count).map(|i| ((2 * i) << 22) as i32 / (count * (count + 1)) as i32).collect();
            let expected: Vec<u8> = (0..length)
                .map(|i| round(starts.clone().zip(&weights).map(|(start, w)| w * i32::from(data[start + i])).sum()))
                .collect();
            let mut rows = Rows::default();
            rows.set(starts, &weights);
            let (mut best, mut portable) = (vec![0; length], vec![0; length]);
            rows.mix(&data, &mut best);
            mix(&data, &rows.0, &mut portable);
            assert_eq!(best, expected, "{count} rows of {length}");
            assert_eq!(portable, expected, "{count} rows of {length}, portable");
        }
    }
}
