//! How people look: the mean colour of each group of body parts.
//!
//! The map of the body says which pixels belong to which part, so that what is compared are shirts with shirts and trousers
//! with trousers, also where a pose or a view is another. Colours are compared in Oklab, in which distances are about what
//! people see (Ottosson, *A perceptual color space for image processing*, 2020).

use std::sync::LazyLock;

use crate::image::Pixels;
use crate::person::{PARTS, Person};

/// Groups of parts: torso, hands, feet, upper legs, lower legs, upper arms, lower arms, head. Left and right, front and
/// back are taken together: clothes are alike there, and who turns shows the other side.
const GROUPS: usize = 8;
/// Group of each part, from 1 on.
const GROUP: [u8; PARTS as usize] = [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7];
/// Rows and columns of a body that are looked at.
const SAMPLES: usize = 20;
/// Samples from which on a group has been seen.
const FEW: f32 = 2.0;
/// Pictures over which colours are averaged: light changes slowly.
const PICTURES: f32 = 50.0;
/// Share of the body that two must both show, so that they can be compared.
const COMMON: f32 = 0.3;

/// Colours of a person, and how much of them was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Looks {
    /// Oklab: lightness 0..=1, green to red and blue to yellow about -0.4..=0.4.
    colours: [[f32; 3]; GROUPS],
    /// Share of the body that each group is of, summed over pictures.
    seen: [f32; GROUPS],
}

impl Looks {
    /// How `person` looks in the picture, where none of `others` covers them. Nothing is seen of empty maps.
    pub fn of<'p>(person: &Person, others: impl Iterator<Item = &'p Person> + Clone, pixels: &Pixels) -> Self {
        let (width, height) = (person.width(), person.height());
        let mut sums = [[0.0; 3]; GROUPS];
        let mut counts = [0.0; GROUPS];
        let near = |other: &&Person| overlap(person, other) > 0;
        let mut all = 0.0;
        for row in (0..SAMPLES.min(height)).map(|i| place(i, height)) {
            let parts = person.iuv.row(row);
            for column in (0..SAMPLES.min(width)).map(|i| place(i, width)) {
                let part = parts[3 * column];
                if part == 0 || part > PARTS {
                    continue;
                }
                all += 1.0;
                // A pixel at the border shows what is behind, too.
                let inside = |column: Option<usize>| column.and_then(|c| parts.get(3 * c)).is_some_and(|&p| p > 0);
                let (x, y) = (i64::from(person.x) + column as i64, i64::from(person.y) + row as i64);
                let covered = || others.clone().filter(near).any(|other| shows(other, x, y));
                if !inside(column.checked_sub(1)) || !inside(column.checked_add(1)) || covered() {
                    continue;
                }
                let Some(rgb) =
                    usize::try_from(x).ok().zip(usize::try_from(y).ok()).and_then(|(x, y)| pixels.rgb(x, y))
                else {
                    continue;
                };
                let group = usize::from(GROUP[usize::from(part) - 1]);
                counts[group] += 1.0;
                (0..3).for_each(|k| sums[group][k] += f32::from(rgb[k]));
            }
        }
        let mut looks = Self::default();
        for group in 0..GROUPS {
            if counts[group] >= FEW {
                looks.colours[group] = oklab(sums[group].map(|sum| sum / counts[group]));
                looks.seen[group] = counts[group] / all;
            }
        }
        looks
    }

    /// Takes in how the person looks now.
    pub fn learn(&mut self, now: &Self) {
        for group in 0..GROUPS {
            let weight = now.seen[group];
            if weight > 0.0 {
                let all = (self.seen[group] + weight).min(weight * PICTURES);
                let colour = &mut self.colours[group];
                (0..3).for_each(|k| colour[k] += (now.colours[group][k] - colour[k]) * weight / all);
                self.seen[group] = all;
            }
        }
    }

    /// Mean distance of the colours of what both show of the body, in Oklab: 0.02 is just visible side by side, black and
    /// white are 1 apart; `None` where too little is to be seen of either.
    pub fn distance(&self, other: &Self) -> Option<f32> {
        let shares = |looks: &Self| {
            let all: f32 = looks.seen.iter().sum();
            looks.seen.map(|seen| seen / all.max(f32::MIN_POSITIVE))
        };
        let (mine, theirs) = (shares(self), shares(other));
        let (mut sum, mut common) = (0.0, 0.0);
        for group in 0..GROUPS {
            let weight = (mine[group] * theirs[group]).sqrt();
            let (a, b) = (self.colours[group], other.colours[group]);
            let square: f32 = (0..3).map(|k| (a[k] - b[k]).powi(2)).sum();
            sum += weight * square.sqrt();
            common += weight;
        }
        (common >= COMMON).then(|| sum / common)
    }
}

/// Pixels that the boxes of two people share.
fn overlap(a: &Person, b: &Person) -> i64 {
    let side = |a: i32, along_a: usize, b: i32, along_b: usize| {
        let end = |start: i32, length: usize| i64::from(start).saturating_add(length as i64);
        (end(a, along_a).min(end(b, along_b)) - i64::from(a.max(b))).max(0)
    };
    side(a.x, a.width(), b.x, b.width()).saturating_mul(side(a.y, a.height(), b.y, b.height()))
}

/// Whether the person's body is to be seen at this pixel of the picture.
fn shows(person: &Person, x: i64, y: i64) -> bool {
    let inside = |at: i64, length: usize| usize::try_from(at).ok().filter(|&at| at < length);
    let column = inside(x - i64::from(person.x), person.width());
    let row = inside(y - i64::from(person.y), person.height());
    column.zip(row).is_some_and(|(x, y)| person.iuv.pixel(x, y)[0] > 0)
}

/// The middle of one of at most [`SAMPLES`] cells of a side of this length.
fn place(index: usize, length: usize) -> usize {
    let cells = SAMPLES.min(length);
    ((2 * index + 1) * length / (2 * cells)).min(length - 1)
}

/// The colour of sRGB values 0..=255.
fn oklab(rgb: [f32; 3]) -> [f32; 3] {
    static LINEAR: LazyLock<Vec<f32>> = LazyLock::new(|| (0..=255).map(|v| linear(v as f32 / 255.0)).collect());
    let [r, g, b] = rgb.map(|v| {
        let low = (v.max(0.0) as usize).min(254);
        LINEAR[low] + (LINEAR[low + 1] - LINEAR[low]) * (v - low as f32).clamp(0.0, 1.0)
    });
    let l = (0.412_221_47 * r + 0.536_332_5 * g + 0.051_445_99 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_84 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

/// IEC 61966-2-1: the light of an sRGB value, both 0..=1.
fn linear(value: f32) -> f32 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::person::IuvMap;

    const SIDE: usize = 40;

    /// Somebody of 10 by 20 pixels at `x`, 5: torso above, legs below.
    fn person(x: i32) -> Person {
        let data = [[2, 9, 9].repeat(100), [7, 9, 9].repeat(100)].concat();
        Person { id: 0, score: 1.0, x, y: 5, iuv: IuvMap::new(10, 20, data).unwrap() }
    }

    /// A black picture with a shirt and trousers of these colours at `x`.
    fn picture(x: usize, shirt: [u8; 3], trousers: [u8; 3]) -> Vec<u8> {
        let mut data = vec![0; SIDE * SIDE * 3];
        for row in 5..25 {
            for column in x..x + 10 {
                let colour = if row < 15 { shirt } else { trousers };
                data[(row * SIDE + column) * 3..][..3].copy_from_slice(&colour);
            }
        }
        data
    }

    fn looks(x: usize, shirt: [u8; 3], trousers: [u8; 3], others: &[Person]) -> Looks {
        let data = picture(x, shirt, trousers);
        let image = Image::rgb(SIDE, SIDE, &data).unwrap();
        Looks::of(&person(x as i32), others.iter(), &image.pixels())
    }

    #[test]
    fn colours_are_those_of_oklab() {
        // From the article: white is 1, 0, 0; the primary colours as its reference code gives them.
        let near = |rgb, expected: [f32; 3]| {
            let lab = oklab(rgb);
            assert!((0..3).all(|k| (lab[k] - expected[k]).abs() < 2e-3), "{rgb:?}: {lab:?}");
        };
        near([255.0; 3], [1.0, 0.0, 0.0]);
        near([0.0; 3], [0.0, 0.0, 0.0]);
        near([255.0, 0.0, 0.0], [0.628, 0.225, 0.126]);
        near([0.0, 0.0, 255.0], [0.452, -0.032, -0.312]);
    }

    #[test]
    fn the_same_clothes_are_the_same_wherever_they_are() {
        let (red, blue) = ([200, 30, 30], [30, 30, 200]);
        let a = looks(3, red, blue, &[]);
        assert!(a.distance(&looks(20, red, blue, &[])).unwrap() < 1e-3);
        assert!(a.distance(&looks(20, blue, red, &[])).unwrap() > 0.2, "shirts are compared with shirts");
    }

    #[test]
    fn what_others_cover_is_not_theirs() {
        let (red, blue) = ([200, 30, 30], [30, 30, 200]);
        let hidden = looks(3, red, blue, &[person(3)]);
        assert_eq!(hidden, Looks::default());
        assert_eq!(hidden.distance(&looks(3, red, blue, &[])), None);
        let beside = looks(3, red, blue, &[person(13)]);
        assert_eq!(beside, looks(3, red, blue, &[]));
    }

    #[test]
    fn colours_are_averaged_over_pictures_and_follow_the_light() {
        let mut known = Looks::default();
        let (bright, dark) = (looks(3, [200; 3], [90; 3], &[]), looks(3, [150; 3], [60; 3], &[]));
        known.learn(&bright);
        assert!(known.distance(&bright).unwrap() < 1e-6);
        known.learn(&dark);
        let (a, b) = (known.distance(&bright).unwrap(), known.distance(&dark).unwrap());
        assert!((a - b).abs() < 1e-5 && a > 0.03, "{a} {b}: half way");
        (0..200).for_each(|_| known.learn(&dark));
        assert!(known.distance(&dark).unwrap() < 0.01);
    }

    #[test]
    fn maps_that_reach_out_of_the_picture_or_hold_nothing_are_survived() {
        let data = picture(3, [200; 3], [90; 3]);
        let image = Image::rgb(SIDE, SIDE, &data).unwrap();
        for (x, y) in [(-100, 5), (i32::MIN, i32::MIN), (i32::MAX, i32::MAX), (38, 30)] {
            let lost = Person { x, y, ..person(3) };
            let _ = Looks::of(&lost, [person(3)].iter(), &image.pixels());
        }
        for (width, height) in [(0, 0), (1, 1), (0, 7)] {
            let empty = Person { iuv: IuvMap::background(width, height), ..person(3) };
            assert_eq!(Looks::of(&empty, [].iter(), &image.pixels()), Looks::default());
        }
        let wrong = Person { iuv: IuvMap::new(10, 20, vec![200; 600]).unwrap(), ..person(3) };
        assert_eq!(Looks::of(&wrong, [].iter(), &image.pixels()), Looks::default());
    }
}
