//! Masks as COCO's compressed run lengths: `{"size": [height, width], "counts": "..."}`.
//!
//! Runs go down the columns, left to right, and begin with background. The text holds each run, from the fourth on
//! less the one two before it, in groups of 5 bits, lowest first, as characters from `0` on; bit 5 says that another
//! group follows, and the last group's bit 4 is the sign. `pycocotools.mask.decode` reads it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::person::{IuvMap, Person};

/// A mask in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle<'a> {
    /// Height and width in pixels.
    pub size: [u64; 2],
    /// The compressed runs.
    #[serde(borrow)]
    pub counts: Cow<'a, str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it is {1}x{0} pixels, not {3}x{2}")]
    Size(u64, u64, usize, usize),
    #[error("its counts hold a character that no run has")]
    Character,
    #[error("its runs are not as long as it is large")]
    Length,
}

/// Collects runs.
#[derive(Default)]
struct Runs {
    counts: Vec<u64>,
    /// What the last run is of; the first is of background, be it empty.
    value: bool,
}

impl Runs {
    fn push(&mut self, value: bool, length: u64) {
        if length == 0 {
            return;
        }
        if self.counts.is_empty() {
            self.counts.push(0);
        }
        if self.value != value {
            self.counts.push(0);
            self.value = value;
        }
        if let Some(last) = self.counts.last_mut() {
            *last += length;
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (i, &count) in self.counts.iter().enumerate() {
            let before = if i > 2 { self.counts[i - 2] } else { 0 };
            let mut rest = count as i64 - before as i64;
            loop {
                let group = (rest & 0x1f) as u8;
                rest >>= 5;
                let more = rest != if group & 0x10 != 0 { -1 } else { 0 };
                text.push(char::from(48 + group + if more { 0x20 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        text
    }
}

/// The mask of a part (of all, for `None`) in the person's box.
pub fn of_map(map: &IuvMap, part: Option<u8>) -> Rle<'static> {
    let mut runs = Runs::default();
    for x in 0..map.width() {
        for y in 0..map.height() {
            let i = map.pixel(x, y)[0];
            runs.push(part.map_or(i != 0, |p| i == p), 1);
        }
    }
    Rle { size: [map.height() as u64, map.width() as u64], counts: runs.text().into() }
}

/// The mask of a person in a frame of `width` by `height`; what lies outside is cut off.
pub fn of_person(person: &Person, width: u32, height: u32) -> Rle<'static> {
    let visible = |start: i32, length: usize, limit: u32| {
        let (start, limit) = (i64::from(start), i64::from(limit));
        let end = (start + length as i64).clamp(0, limit);
        start.clamp(0, end)..end
    };
    let columns = visible(person.x, person.width(), width);
    let rows = visible(person.y, person.height(), height);
    let (width, height) = (u64::from(width), u64::from(height));
    let mut runs = Runs::default();
    runs.push(false, columns.start as u64 * height);
    for x in columns.clone() {
        runs.push(false, rows.start as u64);
        for y in rows.clone() {
            let [i, ..] = person.iuv.pixel((x - i64::from(person.x)) as usize, (y - i64::from(person.y)) as usize);
            runs.push(i != 0, 1);
        }
        runs.push(false, height - rows.end as u64);
    }
    runs.push(false, (width - columns.end as u64) * height);
    Rle { size: [height, width], counts: runs.text().into() }
}

impl Rle<'_> {
    /// Whether the mask is set at each pixel of a box of `width` by `height`, rows top to bottom. A mask of another
    /// size is refused before memory is taken for it.
    pub fn decode(&self, width: usize, height: usize) -> Result<Vec<bool>, Error> {
        if self.size != [height as u64, width as u64] {
            return Err(Error::Size(self.size[0], self.size[1], height, width));
        }
        let mut mask = vec![false; width * height];
        let (mut at, mut set) = (0, false);
        self.runs(mask.len(), |run| {
            if set {
                // Down the columns here, along the rows there.
                (at..at + run).for_each(|i| mask[(i % height) * width + i / height] = true);
            }
            at += run;
            set = !set;
        })?;
        Ok(mask)
    }

    /// Calls with each run; together they are `area` long.
    fn runs(&self, area: usize, mut run: impl FnMut(usize)) -> Result<(), Error> {
        let (mut value, mut shift, mut left) = (0i64, 0, area as i64);
        // The last run and the one before it; deltas begin with the fourth run.
        let (mut last, mut before, mut known) = (0, 0, 0);
        for c in self.counts.bytes() {
            let group = c.checked_sub(48).filter(|g| *g < 64).ok_or(Error::Character)?;
            // No run of a bounded mask takes more groups.
            if shift > 50 {
                return Err(Error::Length);
            }
            value |= i64::from(group & 0x1f) << shift;
            shift += 5;
            if group & 0x20 != 0 {
                continue;
            }
            if group & 0x10 != 0 {
                value |= -1 << shift;
            }
            let length = value + if known > 2 { before } else { 0 };
            if !(0..=left).contains(&length) {
                return Err(Error::Length);
            }
            run(length as usize);
            left -= length;
            (before, last, known) = (last, length, 3.min(known + 1));
            (value, shift) = (0, 0);
        }
        if shift != 0 || left != 0 { Err(Error::Length) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::samples::{map, person};

    /// Runs of a mask given row by row.
    fn text(rows: &[&str]) -> String {
        let data = rows.concat().bytes().flat_map(|b| [b - b'0', 0, 0]).collect();
        of_map(&IuvMap::new(rows[0].len(), rows.len(), data).unwrap(), None).counts.into_owned()
    }

    #[test]
    fn texts_are_those_of_the_coco_tools() {
        // Derived by hand from the definition, checked with pycocotools. Runs of 1 2 1; of 0 4; of 4 2 1 2; of 1 2 2 1 1.
        assert_eq!(text(&["01", "10"]), "121");
        assert_eq!(text(&["11", "11"]), "04");
        assert_eq!(text(&["000", "011", "011"]), "4210");
        assert_eq!(text(&["0110010"]), "122OO");
        assert_eq!(text(&["0"]), "1");
        assert_eq!(text(&["1"]), "01");
        // A run of 40 takes two groups: 8 with more to come, then 1.
        assert_eq!(text(&["0"; 40]), format!("{}1", char::from(48 + 8 + 32)));
        // 16 would be taken for a negative number in one group.
        assert_eq!(text(&["0"; 16]), format!("{}0", char::from(48 + 16 + 32)));
    }

    #[test]
    fn masks_come_back() {
        for (w, h) in [(1, 1), (9, 6), (1, 300), (257, 3)] {
            let map = map(w, h, 5);
            let expected: Vec<_> = map.data().chunks(3).map(|p| p[0] != 0).collect();
            assert_eq!(of_map(&map, None).decode(w, h).unwrap(), expected);
            let expected: Vec<_> = map.data().chunks(3).map(|p| p[0] == 3).collect();
            assert_eq!(of_map(&map, Some(3)).decode(w, h).unwrap(), expected);
        }
        assert_eq!(of_map(&IuvMap::background(0, 5), None).decode(0, 5), Ok(vec![]));
    }

    #[test]
    fn a_person_is_cut_to_the_frame() {
        for (x, y) in [(3, 2), (-2, -3), (17, 9), (-100, 0), (100, 100), (i32::MIN, i32::MAX)] {
            let person = person(1, 0.5, x, y, map(9, 6, 1));
            let mask = of_person(&person, 20, 12).decode(20, 12).unwrap();
            for (fx, fy) in (0..12).flat_map(|fy| (0..20).map(move |fx| (fx, fy))) {
                let (px, py) = (fx as i64 - i64::from(x), fy as i64 - i64::from(y));
                let inside = (0..9).contains(&px) && (0..6).contains(&py);
                let expected = inside && person.iuv.pixel(px as usize, py as usize)[0] != 0;
                assert_eq!(mask[fy * 20 + fx], expected, "person at {x}, {y}, pixel {fx}, {fy}");
            }
        }
        // A frame too large for memory costs none.
        assert_eq!(of_person(&person(1, 0.5, 3, 2, map(9, 6, 1)), u32::MAX, u32::MAX).size, [u64::from(u32::MAX); 2]);
    }

    #[test]
    fn codes_that_lie_are_refused() {
        let code = |size, counts: &str| Rle { size, counts: counts.to_owned().into() }.decode(3, 2);
        assert!(code([2, 3], "222").is_ok());
        assert_eq!(code([3, 2], "222"), Err(Error::Size(3, 2, 2, 3)));
        assert_eq!(code([u64::MAX; 2], "222"), Err(Error::Size(u64::MAX, u64::MAX, 2, 3)));
        for counts in ["", "22", "2222", "2", "22R", "222P", "OOO", "ooooooooooooooooooooo"] {
            assert_eq!(code([2, 3], counts), Err(Error::Length), "{counts}");
        }
        assert_eq!(code([2, 3], "2 2"), Err(Error::Character));
        assert_eq!(code([2, 3], "2\u{e9}2"), Err(Error::Character));
        // Empty masks have no runs, or runs of nothing.
        assert_eq!(Rle { size: [0, 3], counts: "000".into() }.decode(3, 0), Ok(vec![]));
    }
}
