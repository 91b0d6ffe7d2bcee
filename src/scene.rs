//! Cuts: whether a picture shows another scene than the one before.
//!
//! Pictures are compared as small grids of colours by their correlation, which a flash or another exposure does not
//! change, and a pan changes slowly.

use crate::image::Image;

const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Samples across and down of each cell.
const SAMPLES: usize = 3;
/// Below this correlation two pictures show different scenes. On the project's clips neighbouring frames of a scene stay
/// above 0.9, and cuts fall below 0.4.
const SAME: f32 = 0.6;
/// The same where the stream says that it was interrupted.
const SAME_AFTER_GAP: f32 = 0.85;
/// Share of the cells that change in a cut at least. Where fewer do, something small moves over a plain background.
const MANY: f32 = 0.3;
/// A cell changes that becomes so many standard deviations darker or lighter, in comparison with the others.
const CHANGED: f32 = 0.5;
/// Grids that vary less (standard deviation, 0..=255) are flat: black, white, a lens cap.
const FLAT: f32 = 4.0;

/// Remembers the last picture.
#[derive(Debug, Default)]
pub struct Scene {
    last: Option<Grid>,
}

/// Mean red, green and blue of each cell, with the mean of the whole picture taken away.
#[derive(Debug)]
struct Grid {
    values: Vec<[f32; 3]>,
    deviation: f32,
}

impl Scene {
    /// Whether `image` shows another scene than the picture before; `gap`: the stream was interrupted between them.
    pub fn changed(&mut self, image: &Image, gap: bool) -> bool {
        let grid = Grid::of(image);
        let same = if gap { SAME_AFTER_GAP } else { SAME };
        let changed =
            self.last.as_ref().is_some_and(|last| last.correlation(&grid) < same && last.difference(&grid) > MANY);
        self.last = Some(grid);
        changed
    }
}

impl Grid {
    fn of(image: &Image) -> Self {
        let pixels = image.pixels();
        let (width, height) = (image.width(), image.height());
        let place = |at: usize, cells: usize, side: usize| ((2 * at + 1) * side / (2 * cells * SAMPLES)).min(side - 1);
        let mut values = Vec::with_capacity(ROWS * COLUMNS);
        for (row, column) in (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column))) {
            let mut sum = [0.0; 3];
            for (y, x) in (0..SAMPLES).flat_map(|y| (0..SAMPLES).map(move |x| (y, x))) {
                let (x, y) = (place(column * SAMPLES + x, COLUMNS, width), place(row * SAMPLES + y, ROWS, height));
                let rgb = pixels.rgb(x, y).unwrap_or_default();
                (0..3).for_each(|k| sum[k] += f32::from(rgb[k]));
            }
            values.push(sum.map(|s| s / (SAMPLES * SAMPLES) as f32));
        }
        let count = values.len() as f32;
        for k in 0..3 {
            let mean = values.iter().map(|v| v[k]).sum::<f32>() / count;
            values.iter_mut().for_each(|v| v[k] -= mean);
        }
        let deviation = (values.iter().flatten().map(|v| v * v).sum::<f32>() / (3.0 * count)).sqrt();
        Self { values, deviation }
    }

    /// -1..=1; 1 for two flat grids, 0 where only one is flat.
    fn correlation(&self, other: &Self) -> f32 {
        match (self.deviation < FLAT, other.deviation < FLAT) {
            (true, true) => 1.0,
            (false, false) => {
                let products = std::iter::zip(self.values.iter().flatten(), other.values.iter().flatten());
                let mean = products.map(|(a, b)| a * b).sum::<f32>() / (3 * self.values.len()) as f32;
                mean / (self.deviation * other.deviation)
            }
            _ => 0.0,
        }
    }

    /// Share of the cells that differ, apart from brightness and contrast of the whole, 0..=1.
    fn difference(&self, other: &Self) -> f32 {
        let (a, b) = (self.deviation.max(FLAT), other.deviation.max(FLAT));
        let differs = |(x, y): &(&[f32; 3], &[f32; 3])| (0..3).any(|k| (x[k] / a - y[k] / b).abs() > CHANGED);
        let changed = std::iter::zip(&self.values, &other.values).filter(differs).count();
        changed as f32 / self.values.len() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (160, 90);

    /// A picture of smooth shapes that `seed` decides, moved by `shift` pixels and lit by `gain`.
    fn picture(seed: usize, shift: usize, gain: f32) -> Vec<u8> {
        let (width, height) = SIZE;
        let wave = |x: usize, y: usize, k: usize| {
            let (x, y) = ((x + shift) as f32, y as f32);
            let f = |n: usize| (((seed * 7 + k * 3 + n) * 37 % 17) as f32 + 3.0) / 90.0;
            ((x * f(0) + seed as f32).sin() + (y * f(1)).cos() + (x * f(2) + y * f(3)).sin()) * 35.0 + 110.0
        };
        let rows = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        rows.flat_map(|(x, y)| [0, 1, 2].map(|k| (wave(x, y, k) * gain) as u8)).collect()
    }

    fn changes(pictures: &[(Vec<u8>, bool)]) -> Vec<bool> {
        let mut scene = Scene::default();
        let image = |data| Image::rgb(SIZE.0, SIZE.1, data).unwrap();
        pictures.iter().map(|(data, gap)| scene.changed(&image(data), *gap)).collect()
    }

    #[test]
    fn another_scene_is_a_cut_once() {
        let [a, b] = [1, 2].map(|seed| (picture(seed, 0, 1.0), false));
        assert_eq!(changes(&[a.clone(), a.clone(), b.clone(), b, a]), [false, false, true, false, true]);
    }

    #[test]
    fn light_and_pans_are_no_cuts() {
        let frames = [(0, 1.0), (0, 1.6), (0, 0.5), (3, 0.5), (6, 1.0), (9, 1.0)];
        let frames = frames.map(|(shift, gain)| (picture(1, shift, gain), false));
        assert_eq!(changes(&frames), [false; 6]);
    }

    #[test]
    fn a_flat_picture_is_another_scene_than_a_picture_but_not_than_another_flat_one() {
        let flat = |value: u8| (vec![value; SIZE.0 * SIZE.1 * 3], false);
        let a = (picture(1, 0, 1.0), false);
        assert_eq!(changes(&[flat(0), flat(255), a.clone(), flat(9)]), [false, false, true, true]);
    }

    #[test]
    fn something_small_that_moves_is_no_cut() {
        let ball = |x: usize, radius: usize| {
            let (width, height) = SIZE;
            let inside =
                move |i: usize| (i % width).abs_diff(x).pow(2) + (i / width).abs_diff(40).pow(2) < radius * radius;
            ((0..width * height).flat_map(|i| [if inside(i) { 255 } else { 0 }; 3]).collect::<Vec<u8>>(), false)
        };
        assert_eq!(changes(&[ball(20, 15), ball(60, 15), ball(120, 15), ball(30, 15)]), [false; 4]);
        // So small that the picture is flat now and then.
        let small: Vec<_> = (10..60).map(|x| ball(x, 2)).collect();
        assert_eq!(changes(&small), [false; 50]);
    }

    #[test]
    fn tiny_pictures_are_compared_too() {
        let mut scene = Scene::default();
        let image = |data: &'static [u8]| Image::rgb(1, 1, data).unwrap();
        assert!(!scene.changed(&image(&[1, 2, 3]), false));
        assert!(!scene.changed(&image(&[200, 2, 3]), true));
    }
}
