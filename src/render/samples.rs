//! Setting runs of samples, whatever lies between them.

use super::wide;
use crate::image::Depth;
use crate::simd::vectorised;

/// Sets the first of every `step` bytes to `value`.
pub(super) fn fill(row: &mut [u8], step: usize, value: u8) {
    match step {
        1 => row.fill(value),
        2 => fill_some(row, 2, [value, 0, value, 0], 0xff00_ff00),
        4 => fill_some(row, 4, [value, 0, 0, 0], 0xffff_ff00),
        _ => row.iter_mut().step_by(step).for_each(|sample| *sample = value),
    }
}

vectorised! {
    /// Sets four bytes at a time to those of `new`, but for what `keep` masks.
    fn fill_some(row: &mut [u8], step: usize, new: [u8; 4], keep: u32) {
        let (blocks, rest) = row.as_chunks_mut();
        for block in blocks {
            *block = (u32::from_le_bytes(*block) & keep | u32::from_le_bytes(new)).to_le_bytes();
        }
        rest.iter_mut().step_by(step).for_each(|sample| *sample = new[0]);
    }
}

/// Sets the first three bytes of pixels of `step` bytes, 3 or 4; the last pixel may end there.
pub(super) fn fill_packed(row: &mut [u8], step: usize, color @ [a, b, c]: [u8; 3]) {
    if step == 3 {
        // A few pixels at once.
        let many: [u8; 96] = std::array::from_fn(|i| color[i % 3]);
        let (blocks, rest) = row.as_chunks_mut();
        blocks.fill(many);
        rest.as_chunks_mut().0.fill(color);
    } else {
        let whole = row.len() / 4 * 4;
        fill_some(&mut row[..whole], 4, [a, b, c, 0], 0xff00_0000);
        let rest = &mut row[whole..];
        rest.copy_from_slice(&color[..rest.len()]);
    }
}

/// Sets the first of every `step` bytes to the next of `values`.
pub(super) fn set(row: &mut [u8], step: usize, values: &[u8]) {
    match step {
        1 => row.copy_from_slice(&values[..row.len()]),
        2 => set_blocks::<2>(row, values),
        4 => set_blocks::<4>(row, values),
        _ => row.iter_mut().step_by(step).zip(values).for_each(|(sample, value)| *sample = *value),
    }
}

fn set_blocks<const STEP: usize>(row: &mut [u8], values: &[u8]) {
    let (blocks, last) = row.as_chunks_mut::<STEP>();
    for (block, value) in blocks.iter_mut().zip(values) {
        block[0] = *value;
    }
    last.iter_mut().zip(&values[blocks.len()..]).take(1).for_each(|(sample, value)| *sample = *value);
}

/// Sets the first three bytes of pixels of `step` bytes, 3 or 4, to the lower three of `colors`; the last pixel may end
/// there.
pub(super) fn set_packed(row: &mut [u8], step: usize, colors: &[u32]) {
    let done = if step == 3 { wide::set_packed::<3>(row, colors) } else { wide::set_packed::<4>(row, colors) };
    for (pixel, color) in row[step * done..].chunks_mut(step).zip(&colors[done..]) {
        pixel[..3].copy_from_slice(&color.to_le_bytes()[..3]);
    }
}

/// Sets the word at every `step`-th byte to `value`; bits that do not count stay.
pub(super) fn fill_words(row: &mut [u8], step: usize, depth: Depth, value: u16) {
    for word in row.chunks_mut(step).filter_map(|sample| sample.first_chunk_mut()) {
        *word = depth.with_value(*word, value);
    }
}

/// Sets the word at every `step`-th byte to the next of `values`; bits that do not count stay.
pub(super) fn set_words(row: &mut [u8], step: usize, depth: Depth, values: &[u16]) {
    for (word, value) in row.chunks_mut(step).filter_map(|sample| sample.first_chunk_mut()).zip(values) {
        *word = depth.with_value(*word, *value);
    }
}

/// Whether the first of every `step` bytes is `value`.
pub(super) fn are_all(row: &[u8], step: usize, value: u8) -> bool {
    let mut bits = 0;
    if step == 4 {
        let (blocks, last) = row.as_chunks::<4>();
        differ_in_fours(blocks, value, &mut bits);
        return bits == 0 && last.first().is_none_or(|last| *last == value);
    }
    row.iter().step_by(step).all(|sample| *sample == value)
}

vectorised! {
    /// Collects the bits in which the first of every four bytes differ from `value`.
    fn differ_in_fours(blocks: &[[u8; 4]], value: u8, bits: &mut u8) {
        let mut all = 0;
        for block in blocks {
            all |= u32::from_le_bytes(*block) ^ u32::from(value);
        }
        *bits = all as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 43;

    #[test]
    fn only_the_samples_change() {
        let values: Vec<u8> = (0..COUNT as u8).map(|v| v + 100).collect();
        for step in 1..=5 {
            let before: Vec<u8> = (0..=(COUNT - 1) * step).map(|i| i as u8 % 90).collect();
            let (mut filled, mut copied) = (before.clone(), before.clone());
            fill(&mut filled, step, 200);
            set(&mut copied, step, &values);
            for (i, old) in before.into_iter().enumerate() {
                let expected = if i % step == 0 { (200, values[i / step]) } else { (old, old) };
                assert_eq!((filled[i], copied[i]), expected, "byte {i}, step {step}");
            }
        }
    }

    #[test]
    fn a_single_other_sample_is_noticed() {
        for step in 1..=5 {
            let row: Vec<u8> = (0..=(COUNT - 1) * step).map(|i| if i % step == 0 { 255 } else { i as u8 }).collect();
            assert!(are_all(&row, step, 255), "step {step}");
            for k in 0..COUNT {
                let mut other = row.clone();
                other[k * step] = 254;
                assert!(!are_all(&other, step, 255), "sample {k}, step {step}");
            }
        }
    }

    #[test]
    fn only_the_words_change() {
        let depth = Depth::word(10, 6).unwrap();
        let values: Vec<u16> = (0..COUNT as u16).map(|v| v * 20 + 100).collect();
        for step in 2..=5 {
            let before: Vec<u8> = (0..(COUNT - 1) * step + 2).map(|i| i as u8).collect();
            let (mut filled, mut copied) = (before.clone(), before.clone());
            fill_words(&mut filled, step, depth, 700);
            set_words(&mut copied, step, depth, &values);
            for (k, value) in values.iter().enumerate() {
                let word = |row: &[u8]| u16::from_le_bytes([row[k * step], row[k * step + 1]]);
                assert_eq!(word(&filled), 700 << 6 | word(&before) & 0x3f, "sample {k}, step {step}");
                assert_eq!(word(&copied), value << 6 | word(&before) & 0x3f, "sample {k}, step {step}");
            }
            let between = |row: &[u8]| row.iter().enumerate().filter(|(i, _)| i % step > 1).map(|(_, v)| *v).collect();
            let gaps: Vec<u8> = between(&before);
            assert_eq!((between(&filled), between(&copied)), (gaps.clone(), gaps), "step {step}");
        }
    }

    #[test]
    fn only_the_colours_change() {
        let colors: Vec<u32> = (0..COUNT as u32).map(|c| c * 0x050301 + 0x77_000000).collect();
        for step in [3, 4] {
            let before: Vec<u8> = (0..(COUNT - 1) * step + 3).map(|i| i as u8).collect();
            let (mut filled, mut copied) = (before.clone(), before.clone());
            fill_packed(&mut filled, step, [9, 8, 7]);
            set_packed(&mut copied, step, &colors);
            for (i, old) in before.into_iter().enumerate() {
                let lane = i % step;
                let color = colors[i / step].to_le_bytes();
                let expected = if lane < 3 { (9 - lane as u8, color[lane]) } else { (old, old) };
                assert_eq!((filled[i], copied[i]), expected, "byte {i}, step {step}");
            }
        }
    }
}
