//! Sixteen bytes of a row's result at once, with AVX-512: one instruction gathers their samples from 64 bytes of the
//! source, another multiplies and sums pairs of them.

use std::arch::x86_64::*;

use super::super::filter::{CutPair, Filter, HALF, LOW_BITS, PAIR, PRECISION};
use super::ROWS;

/// Bytes of the source that one instruction chooses from.
const WINDOW: usize = 64;
/// Bytes of the result made at once, of 32 bits each on the way.
const LANES: usize = 16;
/// The even bytes of a vector: samples become 16-bit numbers.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Whether the processor has the instructions.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vnni")
}

/// The result's bytes, [`LANES`] of them in each block.
pub struct Blocks {
    /// Bytes from one pair of samples to the next.
    stride: usize,
    blocks: Vec<Block>,
    /// Of each block for each pair of taps.
    weights: Vec<Weights>,
    needed: usize,
}

struct Block {
    /// First byte of the source.
    start: usize,
    /// Where from there on the first pair of samples of each byte lies, in the even bytes.
    places: [u8; WINDOW],
}

/// Of each byte of a block a pair of weights, cut in two.
type Weights = [[i32; LANES]; 2];

impl Blocks {
    /// For pixels of `step` bytes, of which the result has those at `lanes`; nothing where the processor lacks the
    /// instructions or the samples of a block lie too far apart.
    pub fn new(filter: &Filter, step: usize, lanes: &[usize]) -> Option<Self> {
        if !is_available() {
            return None;
        }
        let count = filter.resize.wanted * lanes.len();
        let pairs = filter.taps / PAIR;
        let mut made = Self { stride: PAIR * step, blocks: Vec::new(), weights: Vec::new(), needed: 0 };
        for first in (0..count).step_by(LANES) {
            let bytes: [(usize, &[CutPair]); LANES] = std::array::from_fn(|i| {
                let byte = (first + i).min(count - 1);
                let (start, weights) = filter.cut(byte / lanes.len());
                (start * step + lanes[byte % lanes.len()], weights)
            });
            let start = bytes.iter().map(|(at, _)| *at).min()?;
            let mut places = [0; WINDOW];
            for (places, (at, _)) in places.as_chunks_mut::<4>().0.iter_mut().zip(bytes) {
                let second = at - start + step;
                if second >= WINDOW {
                    return None;
                }
                *places = [(at - start) as u8, 0, second as u8, 0];
            }
            made.needed = made.needed.max(start + (pairs - 1) * made.stride + WINDOW);
            made.blocks.push(Block { start, places });
            made.weights.extend((0..pairs).map(|pair| [0, 1].map(|part| bytes.map(|(_, w)| w[pair][part]))));
        }
        Some(made)
    }

    /// Bytes of a row that are read.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// See [`Across::mix`](super::Across::mix).
    ///
    /// # Panics
    /// Where a row of the result ends within a block.
    ///
    /// # Safety
    /// The processor must have the instructions, and the rows as many bytes as are [`needed`](Self::needed).
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
    pub unsafe fn mix(&self, rows: [&[u8]; ROWS], ahead: usize, mut out: [&mut [u8]; ROWS]) {
        let pairs = self.weights.len() / self.blocks.len().max(1);
        for (i, (block, weights)) in self.blocks.iter().zip(self.weights.chunks_exact(pairs)).enumerate() {
            let (mut high, mut low) = ([_mm512_setzero_si512(); ROWS], [_mm512_set1_epi32(HALF); ROWS]);
            // SAFETY: an array of this size.
            let places = unsafe { _mm512_loadu_si512(block.places.as_ptr().cast()) };
            let mut at = block.start;
            for row in rows {
                _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(at + ahead).cast());
            }
            for weights in weights {
                // SAFETY: arrays of this size.
                let [upper, lower] = weights.each_ref().map(|part| unsafe { _mm512_loadu_si512(part.as_ptr().cast()) });
                for (row, (high, low)) in rows.iter().zip(high.iter_mut().zip(&mut low)) {
                    debug_assert!(at + WINDOW <= row.len());
                    // SAFETY: as the caller vouches.
                    let window = unsafe { _mm512_loadu_si512(row.as_ptr().add(at).cast()) };
                    let samples = _mm512_maskz_permutexvar_epi8(EVEN, places, window);
                    *high = _mm512_dpwssd_epi32(*high, samples, upper);
                    *low = _mm512_dpwssd_epi32(*low, samples, lower);
                }
                at += self.stride;
            }
            for (out, (high, low)) in out.iter_mut().zip(high.into_iter().zip(low)) {
                let sum = _mm512_add_epi32(_mm512_slli_epi32(high, LOW_BITS), low);
                let bytes = _mm512_cvtusepi32_epi8(_mm512_srai_epi32(sum, PRECISION));
                let out = &mut out[i * LANES..][..LANES];
                // SAFETY: so many bytes.
                unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) };
            }
        }
    }
}
